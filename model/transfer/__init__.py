"""Downloads over HTTP that resume, are checked, and keep within limits.

`model.checkpoints.fetch` downloads checkpoints with it, `gallery.download` pictures. The package imports
requests and `model.errors`, and no NumPy.
"""

from model.transfer.downloads import Limits, Progress, download
from model.transfer.partfile import Check

__all__ = ["Check", "Limits", "Progress", "download"]
