"""The card's figures: that each can be good, bad, and is measured on what it says."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from gallery.demo import package_data
from gallery.pictograms import is_shown, path_for
from tests.training.toys import toy_pack
from training import evaluate
from training.baselines import histogram
from training.evaluate import CHANGES, everyday, found_first, read_everyday, renderings
from training.packs import save_pack

pytestmark = pytest.mark.training

COLOURS = {"1f34c": "yellow", "1f34e": "red", "1f415": "sienna", "1f44b": "orange", "1f43b": "tan"}


def flat(colour):
    return Image.new("RGB", (40, 40), colour)


def gallery():
    return tuple(COLOURS), histogram([flat(colour) for colour in COLOURS.values()])


@pytest.fixture
def labelled(tmp_path):
    """Two classes that a histogram tells apart, and one picture that has strayed."""
    for name, colours in {"sky": ["blue", "#0000f0", "red"], "fire": ["red", "#f00000", "#f80000"]}.items():
        (tmp_path / "set" / name).mkdir(parents=True)
        for number, colour in enumerate(colours):
            flat(colour).save(tmp_path / "set" / name / f"{number}.png")
    return tmp_path / "set"


def test_labelled_pictures_are_scored_by_their_folders(labelled, capsys):
    assert evaluate.main(["histogram", "--labelled", str(labelled)]) == 0

    found = json.loads(capsys.readouterr().out)
    assert found["set"]["p1"] == pytest.approx(5 / 6)
    assert set(found["same picture found first among 6"]) == set(CHANGES)


def test_random_weights_can_be_measured_too(labelled, capsys):
    evaluate.main(["random", "--labelled", str(labelled), "--resize", "112"])

    assert 0 <= json.loads(capsys.readouterr().out)["set"]["p1"] <= 1


def test_the_same_picture_must_come_first():
    unit = np.eye(3, dtype=np.float32)

    assert found_first(unit, unit) == 1
    assert found_first(unit[[0, 2, 1]], unit) == pytest.approx(1 / 3)
    assert found_first(unit[[0, 2]], unit, every=2) == 1


def test_changes_do_what_they_are_called():
    picture = Image.new("RGB", (100, 50), "white")
    picture.putpixel((0, 0), (0, 0, 0))

    assert CHANGES["mirrored"](picture).getpixel((99, 0)) == (0, 0, 0)
    cropped = CHANGES["cropped60"](picture)
    assert cropped.width * cropped.height == pytest.approx(0.6 * 100 * 50, rel=0.02)
    assert CHANGES["darkened"](picture).getpixel((5, 5)) == (127, 127, 127)
    assert CHANGES["jpeg30"](picture).size == (100, 50)


def test_a_photograph_of_a_thing_must_find_the_thing(tmp_path, monkeypatch):
    flat("yellow").save(tmp_path / "n07753592_banana.JPEG")
    flat("blue").save(tmp_path / "n07742313_Granny_Smith.JPEG")
    things = [("banana", ["food/banana"]), ("Granny_Smith", ["food/green-apple"])]
    monkeypatch.setattr(evaluate, "read_everyday", lambda: things)

    found = everyday(histogram, tmp_path, *gallery())

    assert (found["fit"], found["of"]) == (1, 2)
    assert found["banana"]["hits"][0] == "food/banana"
    assert found["Granny_Smith"]["fitting"] == 0


def test_what_fits_everyday_things_is_in_the_demo_gallery():
    names = {path_for(code) for code in package_data().codes if is_shown(code)}

    for thing, patterns in read_everyday():
        for pattern in patterns:
            assert evaluate.fitting(names, [pattern]), f"{thing}: {pattern}"


def test_another_vendors_pictograms_are_sought_by_their_code(tmp_path):
    codes, vectors = gallery()
    pack = toy_pack("pictograms", 4)
    pictures = np.stack([np.asarray(flat(colour)) for colour in ("yellow", "blue", "tan", "black")])
    named = replace(pack, pictures=pictures, labels=np.arange(4), names=("1f34c", "1f34e", "1f916", "1f9ff"))
    save_pack(tmp_path / "vendor.npz", named)

    found = renderings(histogram, tmp_path / "vendor.npz", codes, vectors)

    assert found["queries"] == 2  # not what the gallery lacks
    assert found["r1"] == 0.5
