"""How the bundled model is made; `docs/model-card.md` says what came out.

::

    python -m model.training.prepare PACKS --tiny-imagenet REPOSITORY --google ARCHIVE ...
    python -m model.training PACKS OUT --hours 8
    python -m model.training.evaluate OUT/vitrine-compact.safetensors --labelled DIR ...
    python -m model.training.plot OUT/log.jsonl docs/training.svg

Needs the extra ``train`` (PyTorch), which nothing else imports; nothing imports this package.
"""
