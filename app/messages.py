"""What is said about a picture that is refused and a search that failed: what is wrong, and what to do."""

from __future__ import annotations

from flask_babel import LazyString
from flask_babel import lazy_gettext as _l

MESSAGES: dict[str, LazyString] = {
    "empty": _l("No picture was sent, or it is empty. Choose a picture."),
    "too_large": _l("The file is too large. Choose a smaller one, or save the picture with fewer pixels."),
    "too_many_pixels": _l("The picture has more than 40 million pixels. Make it smaller, then try again."),
    "unsupported_format": _l(
        "This is not a picture that can be read. Use JPEG, PNG, WebP, GIF, BMP, TIFF, HEIC or AVIF."
    ),
    "broken": _l("The picture is damaged and cannot be read. Try another copy of it."),
    "no_index": _l("The gallery has no pictures yet. Whoever runs this site must index some."),
    "index_mismatch": _l(
        "The gallery was indexed with another model. Whoever runs this site must index it anew."
    ),
    "no_weights": _l("The model's weights are missing. Whoever runs this site must fetch them."),
    "item_gone": _l("This picture is not in the gallery any more. Choose another."),
    "timeout": _l("The search took too long and was stopped. Try again, perhaps with a smaller picture."),
    "worker_lost": _l("The search was interrupted several times and given up. Try again."),
    "out_of_memory": _l("The picture needs more memory than there is. Try a smaller one."),
    "internal": _l("Something broke during the search. Try again."),
    "picture_gone": _l("The picture of this search is not kept any more. Put it in again."),
    "too_many_pending": _l("Several of your searches are still waiting. Try again when they are done."),
    "queue_full": _l("Very many searches are waiting. Try again in a moment."),
}
FINAL = frozenset({"empty", "too_large", "too_many_pixels", "unsupported_format", "broken", "item_gone"})
QUEUE_AWAY = _l("Searching is interrupted for the moment. Your search is kept and runs as soon as it can.")


def message(code: str) -> LazyString:
    """Return what to say for an error code; one that is not known is an internal error."""
    return MESSAGES.get(code, MESSAGES["internal"])


def retryable(code: str) -> bool:
    """Whether trying the same picture again may help."""
    return code not in FINAL
