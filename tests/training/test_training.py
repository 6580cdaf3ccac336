"""Short trainings: what they learn, export, resume and publish."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from model import load_encoder
from model.checkpoints.weights import open_weights
from model.errors import CheckpointError
from tests.support.checkpoints import random_pixels
from tests.training.toys import RECIPE, ToyTeacher, material, write_packs, write_vendors
from training import __main__ as command
from training import plot
from training.clock import Budget, Clock
from training.export import difference, export
from training.network import Network, begin_with
from training.recipe import Recipe
from training.state import read_state
from training.trainer import LOG, STATE, Trainer

pytestmark = pytest.mark.training


@pytest.fixture
def toys(tmp_path: Path) -> Any:
    found = material(tmp_path)
    with found.photographs:
        yield found


def trained(toys: Any, out: Path, steps: int, recipe: Recipe = RECIPE) -> Trainer:
    out.mkdir(exist_ok=True)
    trainer = Trainer(recipe, toys, out)
    trainer.run(Budget(steps=steps))
    return trainer


def logged(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / LOG).read_text().splitlines()]


def test_the_losses_fall_on_a_toy_set(toys: Any, tmp_path: Path) -> None:
    trained(toys, tmp_path / "out", 60)

    first, *_, last = logged(tmp_path / "out")
    assert (first["step"], last["step"]) == (10, 60)
    assert last["pooled"] < first["pooled"] - 0.1
    assert last["relation"] < first["relation"]


def test_frozen_blocks_keep_their_weights(toys: Any, tmp_path: Path) -> None:
    torch.manual_seed(RECIPE.seed)
    before = Network(RECIPE.config).state_dict()

    after = trained(toys, tmp_path / "out", 3).student.network.state_dict()

    kept = {name for name in after if torch.equal(after[name], before[name])}
    assert {"cls_token", "pos_embed", "patch_embed.proj.weight", "blocks.0.mlp.fc1.weight"} <= kept
    assert not any(name.startswith(("blocks.1", "blocks.2", "norm")) for name in kept)


def test_a_resumed_training_comes_to_the_same(toys: Any, tmp_path: Path) -> None:
    whole = trained(toys, tmp_path / "whole", 12).memory.averaged
    (tmp_path / "broken").mkdir()
    broken = Trainer(RECIPE, toys, tmp_path / "broken")
    for step in range(5):
        broken.step(step / 12)
    broken.save()

    resumed = trained(toys, tmp_path / "broken", 12).memory.averaged

    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_another_seed_comes_to_something_else(toys: Any, tmp_path: Path) -> None:
    one = trained(toys, tmp_path / "one", 2).memory.averaged
    other = trained(toys, tmp_path / "other", 2, replace(RECIPE, seed=6)).memory.averaged

    assert not torch.equal(one["norm.bias"], other["norm.bias"])


def test_a_budget_of_hours_ends_by_the_clock(toys: Any, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()

    progress = Trainer(RECIPE, toys, tmp_path / "out").run(Budget(hours=1 / 3600))

    assert progress.seconds >= 1
    assert read_state(tmp_path / "out" / STATE)["progress"]["step"] == progress.step


def test_a_pause_hardly_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([100.0, 101.0, 1000.0, 1002.0])
    monkeypatch.setattr("time.monotonic", lambda: next(now))
    clock = Clock(5.0)

    assert [clock.read() for _ in range(3)] == [6.0, 66.0, 68.0]


def test_a_training_begins_with_another_models_weights(tmp_path: Path) -> None:
    path = export(Network(RECIPE.config), tmp_path, "float32")
    network = Network(RECIPE.config)

    begin_with(network, path)

    assert difference(network, path, random_pixels(2, 3, 28, 28)) <= 1e-6
    with pytest.raises(CheckpointError, match="is to be trained"):
        begin_with(Network(replace(RECIPE.config, depth=2)), path)


def test_a_larger_table_of_positions_is_reduced(tmp_path: Path) -> None:
    large = Network(replace(RECIPE.config, grid=6))
    network = Network(RECIPE.config)

    begin_with(network, export(large, tmp_path, "float32"))

    pixels = torch.from_numpy(random_pixels(1, 3, 28, 28))
    assert torch.allclose(network(pixels), large(pixels), atol=1e-5)


def test_matrices_are_exported_in_8_bits_and_stay_near(tmp_path: Path) -> None:
    network = Network(RECIPE.config)

    path = export(network, tmp_path)

    with open_weights(path) as weights:
        assert weights.config == RECIPE.config
    assert 0 < difference(network, path, random_pixels(4, 3, 28, 28)) < 1e-3
    encoder = load_encoder(path)
    assert (encoder.positions, encoder.geometry.resize, encoder.geometry.crop) == ("transformers", 28, 28)


def test_numpy_must_agree_with_what_is_exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Network, "forward", lambda self, x: torch.ones(len(x), 5, 64))

    with pytest.raises(RuntimeError, match="NumPy gives other features"):
        export(Network(RECIPE.config), tmp_path)
    assert not list(tmp_path.iterdir())


def test_one_command_leads_from_packs_to_a_checkpoint_with_its_card(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packs, vendors = write_packs(tmp_path / "packs"), write_vendors(tmp_path / "vendors")
    monkeypatch.setattr(command, "Recipe", lambda: RECIPE)
    monkeypatch.setattr(command, "load_teacher", ToyTeacher)
    out = tmp_path / "out"
    arguments = [str(packs), str(out), "--pictograms", *map(str, vendors), "--lr", "0.002"]

    assert command.main([*arguments, "--steps", "20"]) == 0

    assert load_encoder(out / "vitrine-small.safetensors").dim == 64
    card = (out / "README.md").read_text()
    assert "20 steps" in card
    assert "It began with random weights" in card
    assert "| labelled | 16 |" in card
    assert "| lr | 0.002 |" in card
    assert plot.main([str(out / LOG), str(tmp_path / "plot.svg")]) == 0
    assert (tmp_path / "plot.svg").read_text().count("<polyline") == 3


def test_what_was_done_again_counts_in_the_log(tmp_path: Path) -> None:
    lines = [{"step": step, "relation": number} for number, step in enumerate([20, 40, 60, 40, 60, 80])]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))

    read = plot.read_log(tmp_path / "log.jsonl")

    assert [(line["step"], line["relation"]) for line in read] == [(20, 0), (40, 3), (60, 4), (80, 5)]


def test_sizes_are_drawn_as_often_as_the_recipe_says(toys: Any, tmp_path: Path) -> None:
    trainer, chance = Trainer(RECIPE, toys, tmp_path), np.random.default_rng(1)

    sides = [trainer.draw_size(chance).side for _ in range(400)]

    assert set(sides) == {28, 42}
    assert sides.count(28) == pytest.approx(280, abs=40)
