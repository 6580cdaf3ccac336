"""Compare odd pictures with what a viewer shows: ``python -m tests.campaigns.odd_pictures FOLDER``.

The folder has a ``MANIFEST.md`` with a line for each picture: ``- FILE | what it is | same picture as FILE``.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from config import BUNDLED_WEIGHTS
from model import Encoder, load_encoder
from model.errors import PictureError
from model.pictures import DAMAGED

AGREEMENT = 0.98
_LINE = re.compile(r"- (\S+) \| (.*) \| same picture as (\S+)")


def main() -> int:
    """Print each picture's agreement; return 1 if one is neither alike nor refused."""
    folder = Path(sys.argv[1])
    encoder = load_encoder(BUNDLED_WEIGHTS)
    wrong = 0
    for line in (folder / "MANIFEST.md").read_text(encoding="utf-8").splitlines():
        found = _LINE.fullmatch(line.strip())
        if found is None:
            continue
        plain, _ = _feature(encoder, folder / found[3])
        try:
            feature, mark = _feature(encoder, folder / found[1])
        except PictureError as error:
            print(f"{found[1]:40} refused: {error.code}: {error}")
            continue
        agreement = float(plain @ feature)
        wrong += agreement < AGREEMENT
        print(f"{found[1]:40} {agreement:.4f} {mark}")
    return 1 if wrong else 0


def _feature(encoder: Encoder, path: Path) -> tuple[NDArray[np.float32], str]:
    image = encoder.decode(path)
    feature = encoder.encode([image])[0]
    return feature / np.linalg.norm(feature), DAMAGED if image.info.get(DAMAGED) else ""


if __name__ == "__main__":
    sys.exit(main())
