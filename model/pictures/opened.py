"""What the readers of all formats return: a picture whose header has been read, ready to be decoded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image


@dataclass(slots=True)
class Opened:
    """A picture with its header read and its pixels not yet decoded.

    Attributes
    ----------
    kind : str
        One of `model.pictures.FORMATS`.
    width, height : int
        As stored, before the orientation is applied.
    decode : callable
        Takes the factor by which the picture may be reduced (1, 2, 4 or 8, obeyed by JPEG alone), and
        returns a decoded image of any mode that `model.pictures.colour` knows.
    orientation : int
        EXIF's number, 1 to 8.
    profile : bytes
        The embedded colour profile; empty if there is none.
    damaged : bool
        Whether something of the file is wrong or missing; complete only after decoding.
    pixel_bytes : float
        Memory that decoding takes per pixel of the full size, whatever the reduction.
    decoded_in_python : bool
        Whether the decoder is not written in C.
    """

    kind: str
    width: int
    height: int
    decode: Callable[[int], Image.Image]
    orientation: int = 1
    profile: bytes = b""
    damaged: bool = False
    pixel_bytes: float = 0
    decoded_in_python: bool = False
