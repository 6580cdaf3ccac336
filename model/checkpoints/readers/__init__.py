"""One reader for each file format, chosen by `model.checkpoints.files`.

A reader knows the shape of every tensor before it reads any numbers, and never unpickles.
"""
