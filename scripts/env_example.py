"""``python -m scripts.env_example > .env.example``: every setting with its default and one line about it."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from config import VARIABLES

HEAD = """\
# Settings of Vitrine, with their defaults. Copy this file to .env beside config.py and uncomment what you
# change; the environment wins over .env. Made from config.py: python -m scripts.env_example > .env.example
"""


def lines() -> Iterator[str]:
    """Yield the file's lines, without their ends."""
    yield from HEAD.splitlines()
    for variable in VARIABLES:
        unset = f" (if empty: {variable.otherwise})" if variable.otherwise else ""
        yield ""
        yield f"# {variable.help}{unset}."
        yield f"#{variable.name}={variable.default}"


if __name__ == "__main__":
    sys.stdout.writelines(f"{line}\n" for line in lines())
