"""A build backend that refuses to build and says why in one line.

Vitrine is an application that runs from its checkout. A wheel of it would put top-level packages called
``app`` and ``model`` into somebody's environment, without the templates and the migrations.
"""

from __future__ import annotations

import sys
from typing import NoReturn

REASON = "Vitrine is an application that runs from its checkout and cannot be packaged; use: make run"


def refuse(*_arguments: object, **_settings: object) -> NoReturn:
    """Exit with the reason, which pip prints."""
    sys.exit(REASON)


get_requires_for_build_wheel = get_requires_for_build_sdist = get_requires_for_build_editable = refuse
build_wheel = build_sdist = build_editable = refuse
