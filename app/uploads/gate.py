"""The gate of the web: a picture's size and header are looked at; nothing is decoded here."""

from __future__ import annotations

import os
import re
import unicodedata
from typing import BinaryIO, NamedTuple

from app.context import settings
from app.errors import RefusalError
from app.messages import message
from model.errors import PictureError
from model.pictures import PictureInfo, probe

STATUS = {"empty": 400, "too_large": 413, "too_many_pixels": 413, "unsupported_format": 415, "broken": 422}
NAMELESS = "picture"
NAME_LENGTH = 255


class Received(NamedTuple):
    """A picture that has passed the gate."""

    stream: BinaryIO
    filename: str
    size: int
    info: PictureInfo


def receive(stream: BinaryIO | None, filename: str | None) -> Received:
    """Let a picture in.

    Parameters
    ----------
    stream : binary file, seekable
        What was sent; None where there was nothing.
    filename : str, optional
        What the sender calls it.

    Raises
    ------
    RefusalError
        With the code of the `PictureError`: ``empty``, ``too_large``, ``too_many_pixels``,
        ``unsupported_format``, ``broken``.
    """
    if stream is None:
        raise _refusal("empty")
    size = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    if size > settings().max_upload_mb * 2**20:
        raise _refusal("too_large")
    try:
        info = probe(stream)
    except PictureError as error:
        raise _refusal(error.code) from error
    return Received(stream, shown_name(filename), size, info)


def shown_name(filename: str | None) -> str:
    """Return a sender's file name fit to be shown: one line without folders and invisible characters."""
    name = re.split(r"[/\\]", filename or "")[-1]
    visible = "".join(character for character in name if unicodedata.category(character)[0] != "C")
    return visible.strip()[:NAME_LENGTH] or NAMELESS


def _refusal(code: str) -> RefusalError:
    return RefusalError(code, message(code), STATUS.get(code, 400))
