"""The demo gallery and the names of its pictograms."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image, ImageFont, features

from gallery import demo
from gallery.errors import IndexBusyError, StoreError
from gallery.locks import exclusive
from gallery.pictograms import is_shown, path_for
from model.pictures import probe
from tests.support.archives import files_below

FEW = ["1F431", "1F34E", "1F1EB-1F1F7", "1F468-200D-1F33E", "E000", "1F91A", "1F9A9", "2B1B"]
NAMED = {
    "animals/cat-face.png",
    "food/red-apple.png",
    "flags/flag-france.png",
    "people/man-farmer.png",
    "animals/goldfish.png",
    "people/raised-back-of-hand.png",
    "animals/flamingo.png",
    "symbols/black-large-square.png",
}
ABOUT = {"ATTRIBUTION.txt", "SAMPLES.txt"}
ALL = demo.package_data()


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw only a few pictograms, to save time."""
    monkeypatch.setattr(demo, "package_data", lambda: ALL._replace(codes=FEW))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data" / "demo"


@pytest.mark.usefixtures("few")
def test_pictograms_are_drawn_under_readable_names(folder: Path) -> None:
    seen: list[tuple[int, int]] = []
    assert demo.render(folder, lambda *step: seen.append(step)) == (len(FEW), 0, True)
    assert files_below(folder) == NAMED | ABOUT
    assert seen == [(number, len(FEW)) for number in range(1, len(FEW) + 1)]
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


@pytest.mark.usefixtures("few")
def test_a_pictogram_is_a_picture_in_colour_on_white(folder: Path) -> None:
    demo.render(folder)
    assert all(probe(folder / name) == ("PNG", 256, 256) for name in NAMED)
    cat = Image.open(folder / "animals" / "cat-face.png")
    assert cat.getpixel((0, 0)) == (255, 255, 255)
    assert cat.getpixel((128, 100)) == (244, 170, 65)  # OpenMoji's own orange


@pytest.mark.usefixtures("few")
def test_the_gallery_has_its_attribution_and_samples(folder: Path) -> None:
    demo.render(folder)
    assert "OpenMoji" in (folder / "ATTRIBUTION.txt").read_text()
    assert "CC BY-SA 4.0, https://openmoji.org" in (folder / "ATTRIBUTION.txt").read_text()
    assert tuple((folder / "SAMPLES.txt").read_text().splitlines()) == demo.SAMPLES


@pytest.mark.usefixtures("few")
def test_a_second_call_draws_nothing(folder: Path) -> None:
    demo.render(folder)
    before = (folder / "animals" / "cat-face.png").stat()
    assert demo.render(folder) == (len(FEW), 0, False)
    assert (folder / "animals" / "cat-face.png").stat().st_ino == before.st_ino


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("change", ["edition", "package", "marker"])
def test_another_edition_replaces_the_old_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    demo.render(folder)
    (folder / "animals" / "of-an-older-edition.png").touch()
    if change == "edition":
        monkeypatch.setattr(demo, "_EDITION", demo._EDITION + 1)
    elif change == "package":
        newer = ALL._replace(codes=FEW, version="18.0.0")
        monkeypatch.setattr(demo, "package_data", lambda: newer)
    else:
        (folder / ".openmoji.json").write_text('{"pictures": 8, "left_out": 0}')
    assert demo.render(folder).drawn
    assert files_below(folder) == NAMED | ABOUT
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


@pytest.mark.usefixtures("few")
def test_an_interrupted_call_leaves_no_gallery_and_the_next_one_draws_it(folder: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        demo.render(folder, interrupt)
    assert not folder.exists()
    assert demo.render(folder).drawn
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("marker", [None, "no json", "[]", "{}"])
def test_a_folder_with_other_files_is_left_alone(folder: Path, marker: str | None) -> None:
    folder.mkdir(parents=True)
    (folder / "my-own.jpg").touch()
    if marker is not None:
        (folder / ".openmoji.json").write_text(marker)
    with pytest.raises(StoreError, match="contains other files"):
        demo.render(folder)
    assert (folder / "my-own.jpg").exists()


@pytest.mark.usefixtures("few")
def test_an_empty_folder_is_used(folder: Path) -> None:
    folder.mkdir(parents=True)
    assert demo.render(folder).drawn


@pytest.mark.usefixtures("few")
def test_a_second_process_is_refused(folder: Path) -> None:
    with exclusive(folder.parent / ".demo.drawing"), pytest.raises(IndexBusyError):
        demo.render(folder)


@pytest.mark.usefixtures("few")
def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot be written"):
        demo.render(tmp_path / "file" / "demo")


@pytest.mark.usefixtures("few")
def test_without_raqm_sequences_are_left_out_and_counted(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features, "check", lambda name: False)
    assert demo.render(folder) == (6, 2, True)
    assert not (folder / "flags").exists()


def test_pictograms_that_look_alike_are_drawn_once_except_flags(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    twins = ["1F6B6", "1F6B6-200D-2642-FE0F", "1F1F7-1F1F4", "1F1F9-1F1E9"]
    monkeypatch.setattr(demo, "package_data", lambda: ALL._replace(codes=twins))
    demo.render(folder)
    assert files_below(folder) - ABOUT == {
        "people/pedestrian.png",
        "flags/flag-romania.png",
        "flags/flag-chad.png",
    }


def test_the_whole_gallery_has_some_2400_pictograms_with_different_readable_names() -> None:
    shown = [code for code in ALL.codes if is_shown(code)]
    paths = [path_for(code) for code in shown]
    assert 2_350 <= len(shown) <= 2_450
    assert len(set(paths)) == len(paths)
    assert all(re.fullmatch("[a-z]+/[a-z0-9]+(-[a-z0-9]+)*", path) for path in paths)
    assert [path for path in paths if re.search(r"/u[0-9a-f]{4,}", path)] == []
    assert {path.partition("/")[0] for path in paths} == {
        *("animals", "flags", "food", "objects", "people"),
        *("places", "plants", "smileys", "symbols", "transport"),
    }


def test_the_samples_are_among_the_pictograms() -> None:
    paths = {f"{path_for(code)}.png" for code in ALL.codes if is_shown(code)}
    assert len(set(demo.SAMPLES)) == 8
    assert set(demo.SAMPLES) <= paths


@pytest.mark.skipif(not features.check("raqm"), reason="needs Raqm: apt-get install libraqm0")
def test_every_pictogram_is_one_glyph_of_the_font_and_no_empty_box() -> None:
    font = ImageFont.truetype(ALL.font, 40, layout_engine=ImageFont.Layout.RAQM)
    width = font.getlength("\N{CAT FACE}")
    assert font.getlength("a") != width  # the box for a missing glyph is narrower
    texts = {code: "".join(chr(int(part, 16)) for part in code.split("-")) for code in ALL.codes}
    assert [code for code, text in texts.items() if font.getlength(text) != width] == []


@pytest.mark.parametrize(
    ("code", "path"),
    [
        ("1F469-200D-1F33E", "people/woman-farmer"),
        ("1F3F4-E0067-E0062-E0065-E006E-E0067-E007F", "flags/flag-gb-eng"),
        ("1F1E8-1F1EE", "flags/flag-cote-d-ivoire"),
        ("1F1E6", "symbols/regional-indicator-symbol-letter-a"),
        ("0031-FE0F-20E3", "symbols/keycap-digit-one"),
        ("1F408-200D-2B1B", "animals/cat-black"),
        ("1F3FB", "symbols/emoji-modifier-fitzpatrick-type-1-2"),
        ("1FACE", "animals/moose"),
    ],
)
def test_names_are_made_from_the_meaning_of_the_characters(code: str, path: str) -> None:
    assert path_for(code) == path


@pytest.mark.parametrize(
    "code", ["1F91A-1F3FE", "1F9D1-1F3FB-200D-1F91D-200D-1F9D1-1F3FE", "E040", "F8FF", "20E3"]
)
def test_skin_tones_brands_and_joiners_are_left_out(code: str) -> None:
    assert code in ALL.codes
    assert not is_shown(code)
