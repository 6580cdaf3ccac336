"""What the trainer is made of: targets, views, batches, losses, Muon."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from gallery.demo import package_data
from gallery.pictograms import is_shown, path_for
from model.preprocess import MEAN, STD
from tests.training.toys import toy_pack, toy_packs
from training.augment import Views, make_views
from training.batches import TONE_WEIGHT, Share, draw_batch, draw_renderings, match, photographs, pictograms
from training.losses import CosineHead, pair_loss
from training.optimiser import Muon, orthogonalise
from training.packs import PackError
from training.pictograms import draw_openmoji, is_toned, plain_code
from training.processes import Together
from training.recipe import Recipe
from training.targets import build_targets, read_concepts, spoken_name
from training.watch import hold_out, precision_at_1

pytestmark = pytest.mark.training
STILL = Views(area=(1.0, 1.0), aspect=1.0, flip=False, brightness=(1.0, 1.0), colour=0.0)


def chance(seed=0):
    return torch.Generator().manual_seed(seed)


def unnormalised(pixels):
    return pixels * torch.tensor(STD).view(3, 1, 1) + torch.tensor(MEAN).view(3, 1, 1)


def test_a_cat_photographed_and_a_cat_drawn_share_a_row():
    targets = build_targets(toy_packs())

    shared = targets.rows.index("concept:cat")
    photo, drawing = targets.labels[0][0], targets.labels[1][0]
    assert photo != drawing
    assert targets.mixtures[photo, shared] > 0
    assert targets.mixtures[drawing, shared] > 0
    assert targets.mixtures[drawing, targets.rows.index("group:animal-mammal")] > 0
    assert np.allclose(targets.mixtures.sum(axis=1), 1)


def test_renderings_of_one_pictogram_are_one_class():
    targets = build_targets(toy_packs())

    assert np.array_equal(targets.labels[1], targets.labels[2])


def test_every_concept_names_pictograms_that_are_there():
    drawn = {plain_code(code) for code in package_data().codes if is_shown(code)}

    assert {code for _, codes, _ in read_concepts() for code in codes} <= drawn


def test_names_are_read_as_people_say_them():
    assert spoken_name("n02123045 tabby, tabby cat") == "tabby"
    assert spoken_name("cat") == "cat"
    assert plain_code("2764-FE0F") == "2764"
    assert is_toned("1f44b-1f3fd")
    assert not is_toned("1f3fd")


def test_a_view_that_may_not_stray_is_the_picture():
    pictures = torch.from_numpy(toy_pack("photographs").pictures)

    views = unnormalised(make_views(pictures, 28, STILL, chance()))

    assert torch.allclose(views, pictures.permute(0, 3, 1, 2) / 255, atol=1e-5)


def test_outside_of_a_picture_all_is_white():
    pictures = torch.zeros(2, 28, 28, 3, dtype=torch.uint8)
    wide = replace(STILL, area=(4.0, 4.0))

    views = unnormalised(make_views(pictures, 28, wide, chance()))

    assert views.mean() == pytest.approx(0.75, abs=0.03)
    assert views.min() == pytest.approx(0, abs=1e-5)


def test_views_follow_from_the_seed_and_flips_mirror():
    pictures = torch.from_numpy(toy_pack("photographs").pictures)
    mirrored = replace(STILL, flip=True)

    one, same, other = (make_views(pictures, 28, mirrored, chance(seed)) for seed in (1, 1, 2))

    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    plain = make_views(pictures, 28, STILL, chance())
    unflipped = (one - plain).abs().amax(dim=(1, 2, 3)) < 1e-4
    flipped = (one - plain.flip(-1)).abs().amax(dim=(1, 2, 3)) < 1e-4
    assert (unflipped | flipped).all()
    assert unflipped.any()
    assert flipped.any()


def test_a_batch_ends_with_pairs_that_show_the_same():
    packs = toy_packs()
    targets = build_targets(packs)
    kept = [np.ones(len(pack.labels), bool) for pack in packs]
    photos, drawings = photographs(packs, targets, kept), pictograms(packs, targets)
    drawn = ("pictograms:1f408", "pictograms:1f6a2")

    batch = draw_batch(photos, drawings, match(photos, drawings, targets), 400, 28, Share(), chance())

    assert len(batch.pixels) == len(batch.labels) == 400
    pairs = Counter(
        tuple(targets.rows[label] for label in pair)
        for pair in batch.labels[-2 * batch.pairs :].view(2, -1).T
    )
    alone = {(name, name) for name in ("photographs:cat", "photographs:ship", *drawn)}
    both = {("photographs:cat", drawn[0]), ("photographs:ship", drawn[1])}
    assert pairs.keys() == alone | both


def test_without_common_words_photographs_are_paired_with_themselves_alone():
    photograph, *drawn = toy_packs()
    packs = [replace(photograph, names=("hat rack", "drum kit")), *drawn]
    targets = build_targets(packs)
    kept = [np.ones(len(pack.labels), bool) for pack in packs]
    photos, drawings = photographs(packs, targets, kept), pictograms(packs, targets)

    batch = draw_batch(photos, drawings, match(photos, drawings, targets), 40, 28, Share(), chance())

    assert len(batch.pixels) == 40
    first, second = batch.labels[-2 * batch.pairs :].view(2, -1)
    assert torch.equal(first, second)


def test_two_different_renderings_are_paired_and_tones_are_rarer():
    names = ("1f44b", "1f44b-1f3fd")
    vendors = [replace(toy_pack("pictograms", 2, seed), names=names) for seed in (2, 3)]
    packs = [toy_pack("photographs"), *vendors]
    targets = build_targets(packs)
    drawings = pictograms(packs, targets)
    assert sorted(drawings.weights.tolist()) == pytest.approx([TONE_WEIGHT, 1.0])

    first, second = draw_renderings(drawings, 600, chance())
    assert (first != second).all()
    counts = Counter(drawings.labels[first].tolist())
    assert max(counts.values()) > 3 * min(counts.values())


@pytest.mark.parametrize("kind", ["photographs", "pictograms"])
def test_both_kinds_are_needed(kind):
    packs = [toy_pack(kind)]
    targets = build_targets(packs)
    with pytest.raises(PackError, match="both kinds are needed"):
        _ = (photographs(packs, targets, [np.ones(24, bool)]), pictograms(packs, targets))


def test_held_out_photographs_are_of_every_class_and_never_drawn():
    pack = toy_pack("photographs", 48)
    held = hold_out(pack, 4, seed=1)

    assert np.bincount(pack.labels[held]).tolist() == [4, 4]
    assert not hold_out(toy_pack("pictograms"), 4, seed=1).any()
    targets = build_targets([pack])
    assert len(photographs([pack], targets, [~held]).pictures) == 40


def test_precision_at_1_counts_nearest_others():
    features = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.8, 0.3]])

    assert precision_at_1(features, torch.tensor([0, 0, 1, 1])) == 0.75


def test_the_cosine_head_knows_its_own_row():
    head = CosineHead(8, 3, scale=16.0)
    mixtures = torch.eye(3)

    right = head(head.weight.detach() * 5, mixtures, 0.0)
    wrong = head(head.weight.detach().roll(1, 0), mixtures, 0.0)

    assert right < 0.1 * wrong


def test_a_pair_is_found_among_others_but_not_among_its_own_class():
    features = torch.eye(6)[[0, 1, 2, 3, 2, 3]] + 0.01
    labels = torch.tensor([0, 1, 2, 3, 2, 3])

    together = pair_loss(features, labels, 2, 0.1)
    apart = pair_loss(features[[0, 1, 2, 3, 3, 2]], labels, 2, 0.1)
    assert together < 0.01 < apart
    copies = features.clone()
    copies[0] = copies[2]
    assert pair_loss(copies, torch.tensor([2, 1, 2, 3, 2, 3]), 2, 0.1) == pytest.approx(
        float(together), abs=1e-3
    )


@pytest.mark.parametrize("shape", [(3, 16, 16), (2, 16, 64), (2, 64, 16)])
def test_orthogonalised_matrices_have_singular_values_near_1(shape):
    torch.manual_seed(3)
    matrices = torch.randn(*shape) @ torch.diag(torch.linspace(0.5, 5, shape[2]))

    values = torch.linalg.svdvals(orthogonalise(matrices))

    assert orthogonalise(matrices).shape == shape
    assert values.min() > 0.3
    assert values.max() < 1.4


def test_muon_takes_queries_keys_and_values_apart(tmp_path):
    torch.manual_seed(4)
    joined = torch.nn.Parameter(torch.zeros(24, 8))
    single = torch.nn.Parameter(torch.zeros(8, 8))
    gradient = torch.randn(24, 8)
    alone = Together(0, 1, tmp_path / "meeting")
    joined.grad, single.grad = gradient.clone(), gradient[8:16].clone()

    Muon([joined, single], lr=0.1, momentum=0.9, weight_decay=0.0, together=alone).step()

    assert torch.allclose(joined[8:16], single, atol=1e-2)
    assert joined.abs().max() > 0


def test_the_rate_rises_and_falls_and_stages_follow():
    recipe = replace(Recipe(), warmup=0.1, stages=((0.0, 56, 0.5), (0.6, 98, 1.0)))

    assert [recipe.rate_at(at) for at in (0.0, 0.05, 0.1, 0.55, 1.0)] == pytest.approx([0, 0.5, 1, 0.5, 0])
    assert [recipe.stage_at(at) for at in (0.0, 0.59, 0.6, 1.0)] == [
        (56, 0.5),
        (56, 0.5),
        (98, 1.0),
        (98, 1.0),
    ]


def test_openmoji_is_drawn_as_the_demo_gallery_has_it():
    _, drawings = draw_openmoji()
    code, picture = next(drawings)

    assert code == plain_code(code)
    assert picture.size == (256, 256)
    assert "/" in path_for(code)
