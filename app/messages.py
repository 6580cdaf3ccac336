"""Messages for refused pictures and failed searches: what is wrong, and what to do about it."""

from __future__ import annotations

from flask_babel import LazyString, gettext
from flask_babel import lazy_gettext as _l

from model.pictures import most_pixels

MESSAGES: dict[str, LazyString] = {
    "empty": _l("No picture was sent, or the file is empty. Choose a picture."),
    "too_large": _l("The file is too large. Choose a smaller one, or reduce the size of the picture."),
    "too_many_pixels": LazyString(
        lambda: gettext(
            "The picture has more than %(millions)s million pixels. Reduce its size, then try again.",
            millions=most_pixels() // 1_000_000,
        )
    ),
    "unsupported_format": _l(
        "This file is not a supported picture. Use JPEG, PNG, WebP, GIF, BMP, TIFF, HEIC or AVIF."
    ),
    "unsupported_kind": _l(
        "This picture is stored in a way that is not supported. Save it as JPEG or PNG, then try again."
    ),
    "broken": _l("The picture is damaged and cannot be read. Try another copy."),
    "no_index": _l("The gallery is empty. The administrator of this site must index some pictures first."),
    "index_mismatch": _l(
        "The gallery was indexed with another model. The administrator of this site must index it again."
    ),
    "no_weights": _l(
        "The weights of the model are missing. The administrator of this site must download them."
    ),
    "item_gone": _l("This picture is no longer in the gallery. Choose another one."),
    "timeout": _l("The search took too long and was stopped. Try again, perhaps with a smaller picture."),
    "worker_lost": _l("The search was interrupted several times and has been stopped. Try again."),
    "out_of_memory": _l("There is not enough memory for this picture. Try a smaller one."),
    "internal": _l("Something went wrong during the search. Try again."),
    "picture_gone": _l("The picture of this search is no longer stored. Upload it again."),
    "too_many_pending": _l("Several of your searches are still waiting. Try again when they have finished."),
    "too_many_searches": _l(
        "Too many searches from your network without an account. Wait a moment, or log in and try again."
    ),
    "visitor_storage_full": _l(
        "The space for searches without an account is used up. Log in, or try again later."
    ),
    "storage_full": _l(
        "The space for your pictures is used up. Delete searches from your history, then try again."
    ),
    "queue_full": _l("Too many searches are waiting. Try again in a moment."),
}
FINAL = frozenset(
    {"empty", "too_large", "too_many_pixels", "unsupported_format", "unsupported_kind", "broken", "item_gone"}
)
QUEUE_DOWN = _l(
    "Searching is temporarily unavailable. Searches are saved and run as soon as it is available again."
)


def message(code: str) -> LazyString:
    """Return the message for an error code; unknown codes are internal errors."""
    return MESSAGES.get(code, MESSAGES["internal"])


def retryable(code: str) -> bool:
    """Return whether trying again with the same picture may help."""
    return code not in FINAL
