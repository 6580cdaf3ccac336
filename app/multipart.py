"""Forms whose field or file names are not UTF-8, as old programs send them."""

from __future__ import annotations

from flask import Flask
from werkzeug import formparser
from werkzeug.datastructures import Headers
from werkzeug.sansio.multipart import MultipartDecoder


class Decoder(MultipartDecoder):
    """Werkzeug's decoder, except that it replaces what it cannot decode in the headers of a part.

    Werkzeug gives up on such a form without an error, and the picture in it would count as not sent.
    """

    def _parse_headers(self, data: bytes | bytearray) -> Headers:
        return super()._parse_headers(data.decode("utf-8", "replace").encode())


def init_app(_app: Flask) -> None:
    """Let Werkzeug use the decoder, for which it has no setting."""
    formparser.MultipartDecoder = Decoder  # type: ignore[attr-defined]
