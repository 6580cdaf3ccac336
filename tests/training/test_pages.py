"""What a training leaves to read: log, plot, card, sheet of failures."""

from __future__ import annotations

import json
import re

import pytest
from PIL import Image

from model import load_encoder
from tests.training.toys import RECIPE, toy_packs
from training import __main__ as command
from training import plot
from training.packs import save_pack
from training.sheet import Row, draw_sheet

pytestmark = pytest.mark.training


@pytest.fixture
def packs(tmp_path):
    (tmp_path / "packs").mkdir()
    for number, pack in enumerate(toy_packs()):
        save_pack(tmp_path / "packs" / f"{number}.npz", pack)
    return tmp_path / "packs"


def test_one_command_leads_from_packs_to_a_checkpoint_with_its_card(packs, tmp_path, monkeypatch):
    monkeypatch.setattr(command, "Recipe", lambda: RECIPE)

    assert command.main([str(packs), str(tmp_path / "out"), "--steps", "20", "--processes", "1"]) == 0

    path = tmp_path / "out" / "vitrine-compact.safetensors"
    assert load_encoder(path).dim == 64
    card = (path.parent / "README.md").read_text()
    assert "20 steps, 640 pictures seen.\nIt began with random weights" in card
    assert "| Toys | 48 photographs | drawn by a test | none needed |" in card
    assert "| lr | 0.003 |" in card


def test_a_training_can_be_drawn(packs, tmp_path, monkeypatch):
    monkeypatch.setattr(command, "Recipe", lambda: RECIPE)
    command.main([str(packs), str(tmp_path / "out"), "--steps", "80", "--processes", "1"])

    assert plot.main([str(tmp_path / "out" / "log.jsonl"), str(tmp_path / "plot.svg")]) == 0

    lines = re.findall('<polyline points="([^"]+)"', (tmp_path / "plot.svg").read_text())
    assert [len(line.split()) for line in lines] == [4, 4, 4, 5]


def test_what_was_done_anew_counts_in_the_log(tmp_path):
    steps = [20, 40, 60, 40, 60, 80]
    lines = [{"kind": "step", "step": step, "cls": number} for number, step in enumerate(steps)]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))

    read = plot.read_log(tmp_path / "log.jsonl")

    assert [(line["step"], line["cls"]) for line in read] == [(20, 0), (40, 3), (60, 4), (80, 5)]


def test_a_sheet_shows_what_was_sought_and_found():
    red, blue = Image.new("RGB", (9, 9), "red"), Image.new("RGB", (9, 9), "blue")

    sheet = draw_sheet([Row("a thing", None, [blue] * 10), Row("cropped", red, [blue] * 10)])

    colours = {colour: count for count, colour in sheet.getcolors(2**24)}
    assert colours[(255, 0, 0)] == 72 * 72
    assert colours[(0, 0, 255)] == 20 * 72 * 72
