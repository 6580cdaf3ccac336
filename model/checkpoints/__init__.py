"""Checkpoints: the official ones and where they come from, three file formats, three key layouts."""
