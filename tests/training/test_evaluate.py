"""The card's figures: that each can be good, bad, and is measured on what it says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gallery.demo import package_data
from gallery.pictograms import is_shown, path_for
from model.config import ViTConfig
from tests.support.checkpoints import random_pixels
from training import correspondence, evaluate
from training.changes import MILD, STRONG
from training.encoders import encoder_named, histogram
from training.evaluate import everyday, find_things, found_first, seek_renderings
from training.export import export
from training.lists import fitting, read_list
from training.network import Network
from training.packs import read_classes

pytestmark = pytest.mark.training

COLOURS = {"1f34c": "yellow", "1f34e": "red", "1f415": "sienna", "1f44b": "orange", "1f43b": "tan"}


def flat(colour: str) -> Image.Image:
    return Image.new("RGB", (40, 40), colour)


def gallery() -> Any:
    return tuple(COLOURS), histogram([flat(colour) for colour in COLOURS.values()])


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """Two classes that a histogram tells apart, and one picture that has strayed."""
    for name, colours in {"sky": ["blue", "#0000f0", "red"], "fire": ["red", "#f00000", "#f80000"]}.items():
        (tmp_path / "set" / name).mkdir(parents=True)
        for number, colour in enumerate(colours):
            flat(colour).save(tmp_path / "set" / name / f"{number}.png")
    return tmp_path / "set"


def test_labelled_pictures_are_scored_by_their_folders(
    labelled: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate.main(["histogram", "--labelled", str(labelled)]) == 0

    found = json.loads(capsys.readouterr().out)
    assert found["set"]["p1"] == pytest.approx(5 / 6)
    assert set(found["same picture first among 6"]) == set(MILD)


def test_random_weights_can_be_measured_too() -> None:
    encode = encoder_named("random")

    assert encode([flat("red"), flat("blue")]).shape == (2, 384)


def test_the_same_picture_must_come_first() -> None:
    unit = np.eye(3, dtype=np.float32)

    assert found_first(unit, unit) == 1
    assert found_first(unit[[0, 2, 1]], unit) == pytest.approx(1 / 3)
    assert found_first(unit[[0, 2]], unit, every=2) == 1


def test_changes_do_what_they_are_called() -> None:
    picture = Image.new("RGB", (100, 50), "white")
    picture.putpixel((0, 0), (255, 0, 0))

    assert MILD["mirrored"](picture).getpixel((99, 0)) == (255, 0, 0)
    assert MILD["half as bright"](picture).getpixel((5, 5)) == (127, 127, 127)
    assert MILD["JPEG 30"](picture).size == (100, 50)
    assert STRONG["black and white"](picture).getpixel((0, 0)) == (76, 76, 76)
    assert STRONG["darkened to an eighth"](picture).getpixel((5, 5)) == (31, 31, 31)
    assert STRONG["quarter turn"](picture).getpixel((0, 99)) == (255, 0, 0)


@pytest.mark.parametrize(("change", "share"), [("cropped to 60 %", 0.6), ("cropped to a third", 1 / 3)])
def test_a_crop_leaves_its_share_of_the_area(change: str, share: float) -> None:
    cropped = {**MILD, **STRONG}[change](Image.new("RGB", (100, 50)))

    assert cropped.width * cropped.height == pytest.approx(share * 5000, rel=0.03)


def test_a_frame_takes_a_third_of_the_area() -> None:
    framed = np.asarray(STRONG["in a frame"](Image.new("RGB", (100, 100), "red")))

    assert (framed == (255, 0, 0)).all(axis=2).mean() == pytest.approx(2 / 3, abs=0.02)


def test_a_photograph_of_a_thing_must_find_the_thing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flat("yellow").save(tmp_path / "n07753592_banana.JPEG")
    flat("blue").save(tmp_path / "n07742313_Granny_Smith.JPEG")
    things = [("banana", ["food/banana"]), ("Granny_Smith", ["food/green-apple"])]
    monkeypatch.setattr(evaluate, "read_list", lambda name: things)

    found = everyday(histogram, tmp_path, *gallery())

    assert (found["fit"], found["of"]) == (1, 2)
    assert found["banana"]["hits"][0] == "food/banana"
    assert found["Granny_Smith"]["fitting"] == 0


def test_a_query_does_not_find_itself() -> None:
    vectors = np.eye(12, dtype=np.float32)
    names = [f"n{at}" for at in range(12)]

    found = find_things({"n3": (3, vectors[3])}, (names, vectors), [("n3", ["n3"])])

    assert found["fit"] == 0
    assert len(found["n3"]["hits"]) == 10


def test_what_fits_everyday_things_is_in_the_demo_gallery() -> None:
    names = {path_for(code) for code in package_data().codes if is_shown(code)}

    for thing, patterns in read_list("everyday"):
        for pattern in patterns:
            assert fitting(names, [pattern]), f"{thing}: {pattern}"


def test_what_fits_thirty_things_is_among_imagenets_classes() -> None:
    names = [f"{number}_{name.replace(' ', '_')}" for number, name in read_classes()]
    things = read_list("things")

    assert len(things) == 30
    for thing, patterns in things:
        assert any(name.endswith(f"_{thing}") for name in names), thing
        for pattern in patterns:
            assert fitting(names, [pattern]), f"{thing}: {pattern}"


def test_another_vendors_pictograms_are_sought_by_their_code(tmp_path: Path) -> None:
    codes, vectors = gallery()
    for code, colour in {"1f34c": "yellow", "1f34e-fe0f": "blue", "1f916": "tan"}.items():
        flat(colour).save(tmp_path / f"{code}.png")

    sought = seek_renderings(histogram, tmp_path, codes, vectors)

    assert len(sought.ranks) == 2  # not what the gallery lacks
    assert sought.ranks[0] == 0
    assert sought.ranks[1] > 0


def coordinates(picture: Image.Image) -> Any:
    """Patch tokens that say where the patch's centre was in a picture of red and green ramps."""
    cells = np.asarray(picture.resize((8, 8), Image.Resampling.BOX), np.float32) / 255 - 0.5
    x, y = 3 * cells[..., 0], 3 * cells[..., 1]
    return np.stack([np.cos(x), np.sin(x), np.cos(y), np.sin(y)], axis=-1)


@pytest.fixture
def ramps() -> Any:
    ramp = np.linspace(0, 255, 160)
    red, green = np.meshgrid(ramp, ramp)
    return Image.fromarray(np.stack([red, green, 0 * red], axis=-1).astype(np.uint8))


@pytest.mark.parametrize("name", list(correspondence.MAPS))
def test_patches_that_know_their_place_are_hardly_wrong(name: str, ramps: Callable[..., Any]) -> None:
    errors = correspondence.errors(coordinates, ramps, correspondence.MAPS[name])

    assert len(errors) > 10
    assert np.median(errors) < 0.75


def test_patches_that_know_nothing_are_far_off(ramps: Callable[..., Any]) -> None:
    chance = np.random.default_rng(0)

    def blind(picture: Image.Image) -> Any:
        return chance.standard_normal((8, 8, 16)).astype(np.float32)

    assert correspondence.median_error(blind, [ramps] * 4, correspondence.MAPS["mirror"]) > 2


def test_a_checkpoints_patches_are_compared(tmp_path: Path) -> None:
    for number in range(3):
        pixels = (random_pixels(1, 60, 80, 3)[0] * 60 + 128).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"n{number}_thing.JPEG")
    config = ViTConfig(width=64, depth=1, heads=1, hidden=128, mlp="gelu", patch=14, grid=2)
    path = export(Network(config), tmp_path)

    found = evaluate.measure_patches(str(path), tmp_path, 56)

    assert set(found) == {"crop", "mirror", "perspective"}
