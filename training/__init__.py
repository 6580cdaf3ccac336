"""How the bundled model is made; `docs/model-card.md` says what came out.

::

    python -m training.prepare PACKS --tiny-imagenet REPOSITORY --google ARCHIVE ...
    python -m training PACKS OUT --hours 8
    python -m training.evaluate OUT/vitrine-compact.safetensors --labelled DIR ...
    python -m training.plot OUT/log.jsonl docs/training.svg

Needs the extra ``train`` (PyTorch), which nothing else imports; nothing imports this package.
"""
