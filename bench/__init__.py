"""Measurements against named peers, side by side in one process: ``make bench``."""
