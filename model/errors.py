"""What can go wrong, as one small tree.

Every class carries a `code`: a short stable word that programs may act on, and that the pages translate. The
message is for the person who reads the log or the terminal: it says what was found and how to mend it.
"""

from __future__ import annotations


class VitrineError(Exception):
    """Base of every error that Vitrine raises on purpose.

    Attributes
    ----------
    code : str
        A stable machine-readable word; each class has its own default.
    """

    code = "internal"


class CheckpointError(VitrineError):
    """A weights file cannot be read, or is not the Vision Transformer that it should be."""

    code = "no_weights"


class PictureError(VitrineError):
    """A picture was refused.

    Parameters
    ----------
    code : str
        ``empty``, ``too_large`` (bytes), ``too_many_pixels``, ``unsupported_format`` or ``broken``.
    message : str
        What was found and what is allowed.
    """

    CODES = ("empty", "too_large", "too_many_pixels", "unsupported_format", "broken")

    def __init__(self, code: str, message: str) -> None:
        if code not in self.CODES:
            raise ValueError(f"{code!r} is no picture error code; there are: {', '.join(self.CODES)}")
        super().__init__(message)
        self.code = code

    def __reduce__(self) -> tuple[type[PictureError], tuple[str, str]]:
        """Survive the way back from a worker process: exceptions pickle by `args`, which lacks the code."""
        return type(self), (self.code, str(self))


class DownloadError(VitrineError):
    """A file could not be fetched; the message says in one line what to do by hand."""

    code = "download"
