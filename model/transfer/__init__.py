"""Downloads over HTTP that resume, within limits; for checkpoints and for pictures."""

from model.transfer.downloads import Limits, Progress, download
from model.transfer.partfile import Check

__all__ = ["Check", "Limits", "Progress", "download"]
