"""Short trainings of every kind: what they learn, export, and take up again."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from model import load_encoder
from model.errors import CheckpointError
from tests.support.checkpoints import random_pixels
from tests.training.toys import RECIPE, toy_packs
from training.clock import Budget, Clock
from training.export import difference, export
from training.network import Network
from training.processes import Together
from training.run import train
from training.state import Progress, save_state
from training.trainer import LOG, STATE, Trainer, gather
from training.warm import centre, warm_start
from training.watch import encode

pytestmark = pytest.mark.training
DEVICES = ["cpu"] + ["cuda"] * torch.cuda.is_available()


def trainer(folder, device="cpu", recipe=RECIPE):
    folder.mkdir(exist_ok=True)
    data = gather(toy_packs(), recipe)
    return Trainer(recipe, data, folder, Together(0, 1, folder / "meeting"), torch.device(device))


def trained(folder, steps, recipe=RECIPE):
    learner = trainer(folder, recipe=recipe)
    learner.run(Budget(steps=steps))
    return learner.network.state_dict()


def logged(folder, kind):
    lines = [json.loads(line) for line in (folder / LOG).read_text().splitlines()]
    return [line for line in lines if line["kind"] == kind]


@pytest.mark.parametrize("device", DEVICES)
def test_the_loss_falls_on_a_toy_set(device, tmp_path):
    learner = trainer(tmp_path, device)

    learner.run(Budget(steps=60))

    first, *_, last = logged(tmp_path, "step")
    assert (first["step"], last["step"]) == (20, 60)
    assert last["loss"] < first["loss"] - 0.3
    assert logged(tmp_path, "look")[-1]["p1"] == 1.0


def test_what_is_exported_is_what_was_trained(tmp_path):
    learner = trainer(tmp_path / "run")
    learner.run(Budget(steps=20))
    network = learner.network

    path = export(network, tmp_path / "model", RECIPE.resize)

    assert difference(network, path, random_pixels(4, 3, 28, 28)) <= 1e-5
    encoder = load_encoder(path)
    assert (encoder.config, encoder.positions) == (RECIPE.config, "transformers")
    assert (encoder.geometry.resize, encoder.geometry.crop) == (28, 28)


def test_a_difference_is_seen(tmp_path):
    path = export(Network(RECIPE.config), tmp_path, RECIPE.resize)

    assert difference(Network(RECIPE.config), path, random_pixels(4, 3, 28, 28)) > 1e-3


def test_a_training_taken_up_again_comes_to_the_same(tmp_path):
    whole = trained(tmp_path / "whole", 12)
    broken = trainer(tmp_path / "broken")
    for step in range(5):
        broken.step(step, step / 12)
    save_state(tmp_path / "broken" / STATE, broken.network, broken.head, broken.optimisers, Progress(5))

    resumed = trained(tmp_path / "broken", 12)

    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_another_seed_comes_to_something_else(tmp_path):
    one = trained(tmp_path / "one", 2)
    other = trained(tmp_path / "other", 2, replace(RECIPE, seed=6))

    assert not torch.equal(one["norm.bias"], other["norm.bias"])


def test_two_processes_train_one_network(tmp_path):
    train(RECIPE, toy_packs(), tmp_path, Budget(steps=100), processes=2)

    first, *_, last = logged(tmp_path, "step")
    assert last["loss"] < first["loss"] - 0.3
    assert last["pictures"] == 100 * RECIPE.batch


def test_a_budget_of_hours_ends_by_the_clock(tmp_path):
    trainer(tmp_path).run(Budget(hours=1 / 3600))

    assert logged(tmp_path, "look")[-1]["progress"] >= 1
    assert torch.load(tmp_path / STATE, weights_only=True)["progress"]["seconds"] >= 1


def test_a_pause_hardly_counts(monkeypatch):
    now = iter([100.0, 101.0, 1000.0, 1002.0])
    monkeypatch.setattr("time.monotonic", lambda: next(now))
    clock = Clock(5.0)

    assert [clock.read() for _ in range(3)] == [6.0, 66.0, 68.0]


def test_a_training_begins_with_another_models_weights(tmp_path):
    source = Network(RECIPE.config)
    path = export(source, tmp_path / "first", RECIPE.resize)
    network = Network(RECIPE.config)

    warm_start(network, path)

    assert difference(network, path, random_pixels(2, 3, 28, 28)) <= 1e-6
    with pytest.raises(CheckpointError, match="is to be trained"):
        warm_start(Network(replace(RECIPE.config, depth=3)), path)


def test_rows_begin_at_their_classes_and_features_at_the_origin(tmp_path):
    learner = trainer(tmp_path)
    photos, drawings = learner.data.photographs, learner.data.pictograms

    def middle():
        means = [
            encode(learner.network, kind.pictures, 28, bf16=False).mean(dim=0) for kind in (photos, drawings)
        ]
        return float(torch.stack(means).mean(dim=0).norm())

    before = middle()
    centre(learner.network, learner.head, learner.data, 28, bf16=False)

    assert middle() < 0.2 * before
    features = functional.normalize(encode(learner.network, drawings.pictures, 28, bf16=False), dim=-1)
    lines = drawings.labels.unique()
    own = learner.data.mixtures[lines].argmax(dim=1)
    nearest = lines[(features @ learner.head.weight[own].T).argmax(dim=1)]
    assert torch.equal(nearest, drawings.labels)


def test_patches_left_out_cost_nothing_but_themselves():
    network = Network(RECIPE.config)
    pixels = torch.from_numpy(random_pixels(3, 3, 28, 28))

    assert network(pixels).shape == (3, 5, 64)
    assert network(pixels, 0.5, torch.Generator()).shape == (3, 3, 64)
