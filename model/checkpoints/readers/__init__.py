"""One reader for each file format; `model.checkpoints` chooses among them."""
