"""Check the size and header of an uploaded picture, without decoding it; called by `app.searches.service`."""

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

STATUS = {
    "empty": 400,
    "too_large": 413,
    "too_many_pixels": 413,
    "unsupported_format": 415,
    "unsupported_kind": 415,
    "broken": 422,
}
DEFAULT_NAME = "picture"
NAME_LENGTH = 255


class Received(NamedTuple):
    """A picture that has passed the checks."""

    stream: BinaryIO
    filename: str
    size: int
    info: PictureInfo


def receive(stream: BinaryIO | None, filename: str | None) -> Received:
    """Check an uploaded picture.

    Parameters
    ----------
    stream : binary file, seekable
        The picture; None if none was sent.
    filename : str, optional
        The name that the client sent.

    Raises
    ------
    RefusalError
        With the code of the `PictureError`: ``empty``, ``too_large``, ``too_many_pixels``,
        ``unsupported_format``, ``unsupported_kind``, ``broken``.
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
    """Return a file name for display: one line without folders and invisible characters."""
    name = re.split(r"[/\\]", filename or "")[-1]
    visible = "".join(character for character in name if unicodedata.category(character)[0] != "C")
    return visible.strip()[:NAME_LENGTH] or DEFAULT_NAME


def _refusal(code: str) -> RefusalError:
    return RefusalError(code, message(code), STATUS.get(code, 400))
