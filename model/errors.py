"""Errors that Vitrine raises on purpose.

Each class has a `code`, a short stable word that programs may act on and that the pages translate. The
message is for the person who reads the log or the terminal: it says what was found and how to fix it. Every
package may import this; it imports nothing.
"""

from __future__ import annotations


class VitrineError(Exception):
    """Base class of all errors that Vitrine raises on purpose.

    Attributes
    ----------
    code : str
        A stable word for programs; each class has its own.
    """

    code = "internal"


class CheckpointError(VitrineError):
    """A checkpoint cannot be read or written, or does not contain the expected Vision Transformer."""

    code = "no_weights"


class PictureError(VitrineError):
    """A picture was refused.

    Parameters
    ----------
    code : str
        ``empty``, ``too_large`` (bytes), ``too_many_pixels``, ``unsupported_format``, ``unsupported_kind`` (a
        variant of an accepted format) or ``broken``.
    message : str
        What was found, and what is allowed.

    Raises
    ------
    ValueError
        `code` is not one of these.
    """

    CODES = ("empty", "too_large", "too_many_pixels", "unsupported_format", "unsupported_kind", "broken")

    def __init__(self, code: str, message: str) -> None:
        if code not in self.CODES:
            raise ValueError(
                f"{code!r} is not a code of PictureError; the codes are: {', '.join(self.CODES)}"
            )
        super().__init__(message)
        self.code = code

    def __reduce__(self) -> tuple[type[PictureError], tuple[str, str]]:
        """Pickle with the code, which `args` lacks, so that another process can return the error."""
        return type(self), (self.code, str(self))


class DownloadError(VitrineError):
    """A download failed; the message gives, in one line, the reason and the manual alternative."""

    code = "download"
