"""What a step is made of: packs, pictograms, concepts, views, batches, targets and losses."""

from __future__ import annotations

import io
import re
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

from tests.training.toys import CODES, RECIPE, ToyTeacher, material, picture, write_packs
from training import pack
from training.batches import draw_batch
from training.concepts import Concepts, read_concepts
from training.losses import cosine_distance, instance, relation, resized_cells, spread
from training.packs import UNLABELLED, PackError, Photographs, read_classes
from training.pictograms import Pictograms, is_toned, plain_code, renderings
from training.student import fit_ridge
from training.targets import MOST, Queue, Rows, rows_of, target_cosines
from training.views import CHANGES, CLEAN, clean, drawing, first_view, second_view

pytestmark = pytest.mark.training


@pytest.fixture
def chance() -> np.random.Generator:
    return np.random.default_rng(3)


def test_photographs_are_drawn_with_the_labels_that_their_folders_give(
    tmp_path: Path, chance: np.random.Generator
) -> None:
    with Photographs(write_packs(tmp_path / "packs"), {}) as photographs:
        drawn = [photographs.draw(chance) for _ in range(60)]

    assert photographs.counts == {"labelled": 16, "plain": 8}
    assert {found.label for found in drawn} == {UNLABELLED, 281, 914}
    assert drawn[0].picture.mode == "RGB"


def test_a_pack_is_drawn_from_by_its_share(tmp_path: Path, chance: np.random.Generator) -> None:
    with Photographs(write_packs(tmp_path / "packs"), {"plain": 0.0}) as photographs:
        assert UNLABELLED not in {photographs.draw(chance).label for _ in range(60)}


def test_a_folder_without_packs_and_a_damaged_pack_are_errors(tmp_path: Path) -> None:
    with pytest.raises(PackError, match="holds no packs"):
        Photographs(tmp_path, {})
    (tmp_path / "bad.tar").write_bytes(b"not a tar archive" * 100)
    with pytest.raises(PackError, match=r"bad\.tar is not a pack"):
        Photographs(tmp_path, {})


def test_a_damaged_picture_is_named(tmp_path: Path, chance: np.random.Generator) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo("none/empty.jpg"))
    with (
        Photographs(tmp_path, {}) as photographs,
        pytest.raises(PackError, match=r"a\.tar: the picture at byte 512"),
    ):
        photographs.draw(chance)


def test_a_pack_is_made_of_a_repository(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "repository"
    (folder / "images" / "cat").mkdir(parents=True)
    Image.new("RGB", (400, 300), "red").save(folder / "images" / "cat" / "a.jpg")
    Image.new("RGBA", (130, 140), (0, 0, 0, 0)).save(folder / "images" / "cat" / "b.png")
    Image.new("RGB", (100, 300)).save(folder / "images" / "cat" / "small.jpg")
    (folder / "images" / "cat" / "broken.jpg").write_bytes(b"?")
    Image.new("RGB", (200, 200)).save(folder / "elsewhere.jpg")
    git = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b.c"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "pictures"]):
        subprocess.run(git + command, check=True)

    pack.main([str(folder), "HEAD", "^images/([^/]+)/", str(tmp_path / "p.tar")])

    assert "2 pictures" in capsys.readouterr().out
    with tarfile.open(tmp_path / "p.tar") as archive:
        names = archive.getnames()
        pictures = [Image.open(io.BytesIO(archive.extractfile(name).read())) for name in names]
        assert [found.size for found in pictures] == [(213, 160), (130, 140)]
        assert pictures[1].getpixel((5, 5)) == (255, 255, 255)
    assert [name.split("/")[0] for name in names] == ["cat", "cat"]


def test_a_repository_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PackError, match="gave no archive"):
        list(pack.matching(str(tmp_path / "none"), "HEAD", re.compile("")))


def test_codes_are_brought_to_one_form() -> None:
    assert plain_code("2764-FE0F") == "2764"
    assert is_toned("1f44b-1f3fd")
    assert not is_toned("1f44b")


def test_pictograms_need_two_vendors(tmp_path: Path, chance: np.random.Generator) -> None:
    toys = material(tmp_path)
    with toys.photographs:
        number, one, other = toys.pictograms.draw(chance)

    assert toys.pictograms.codes[number] in CODES
    assert one.path != other.path
    assert one.path.stem == other.path.stem
    with pytest.raises(ValueError, match="two of the folders"):
        Pictograms([tmp_path / "vendors" / "one"])


def test_a_transparent_pictogram_lies_on_its_background(tmp_path: Path, chance: np.random.Generator) -> None:
    Image.new("RGBA", (20, 20), (0, 0, 0, 0)).save(tmp_path / "1F408.png")
    rendering = renderings(tmp_path)["1f408"]

    assert rendering.open().getpixel((3, 3)) == (255, 255, 255)
    assert rendering.open("red").getpixel((3, 3)) == (255, 0, 0)
    assert drawing(rendering, 28, chance).size == (28, 28)


def test_concepts_name_classes_and_no_concept_is_empty() -> None:
    names = {name for _, name in read_classes()}

    for concept in read_concepts():
        assert concept.codes, concept.word
        assert set(concept.classes) <= names, concept.word


def test_a_photograph_and_a_pictogram_of_a_cat_have_a_concept_in_common() -> None:
    concepts = Concepts(["1f408", "26f5"])
    chances = torch.zeros(2, 1000)
    chances[0, 281], chances[1, 914] = 0.9, 0.1  # surely a tabby, hardly a yawl

    photographs, pictograms = concepts.of_photographs(chances), concepts.of_pictograms(torch.tensor([0, 1]))

    assert (photographs @ pictograms.T).tolist() == [[pytest.approx(0.9), 0], [0, 0]]


def test_clean_pictures_and_first_views_keep_what_there_is(chance: np.random.Generator) -> None:
    square = clean(picture(0, chance), chance)

    view = first_view(square, 70, chance)

    assert square.size == (CLEAN, CLEAN)
    assert view.shape == (70, 70, 3)
    grey = [np.asarray(x.convert("L").resize((8, 8)), float).ravel() for x in (square, Image.fromarray(view))]
    assert np.corrcoef(*grey)[0, 1] > 0.95


def test_every_change_comes_up_and_differs(chance: np.random.Generator) -> None:
    square = clean(picture(1, chance), chance)

    for name, (share, change) in CHANGES.items():
        assert share > 0
        assert np.asarray(change(square, chance)).ndim == 3, name
    assert sum(share for share, _ in CHANGES.values()) == pytest.approx(1)
    means = [second_view(square, 28, chance).mean() for _ in range(60)]
    assert min(means) < 60 < max(means)


def test_a_batch_has_two_views_of_each_picture(tmp_path: Path, chance: np.random.Generator) -> None:
    toys = material(tmp_path)
    with toys.photographs:
        batch = draw_batch(toys.photographs, toys.pictograms, RECIPE.sizes[0], chance)

    assert batch.clean.shape == (14, CLEAN, CLEAN, 3)
    assert batch.views.shape == (28, 3, 28, 28)
    assert (len(batch.labels), len(batch.pictograms)) == (12, 2)


def rows(**changes: Any) -> Any:
    one = {
        "features": torch.eye(4)[:2],
        "classes": torch.eye(1000)[:2],
        "concepts": torch.zeros(2, 3),
        "pictograms": torch.tensor([-1, -1]),
        "pictures": torch.tensor([0, 1]),
    }
    return Rows(**{**one, **changes})


def test_views_of_one_picture_and_renderings_of_one_pictogram_are_the_same() -> None:
    assert target_cosines(rows(), rows()).tolist() == [[1, 0], [0, 1]]
    drawn = rows(pictograms=torch.tensor([7, 7]), classes=torch.zeros(2, 1000))
    assert target_cosines(drawn, drawn).tolist() == [[1, 1], [1, 1]]


def test_what_the_teacher_sees_and_what_is_shown_bring_pictures_near() -> None:
    alike = rows(classes=torch.eye(1000)[[3, 3]])
    assert target_cosines(alike, alike)[0, 1] == pytest.approx(0.4)
    both = rows(classes=torch.eye(1000)[[3, 3]], features=torch.eye(4)[[1, 1]])
    assert target_cosines(both, both)[0, 1] == pytest.approx(MOST)
    mixed = rows(pictograms=torch.tensor([-1, 7]), concepts=torch.tensor([[0.9, 0, 0], [1.0, 0, 0]]))
    assert target_cosines(mixed, mixed)[0, 1] == pytest.approx(0.54)


def test_a_label_outweighs_the_teachers_guess(tmp_path: Path, chance: np.random.Generator) -> None:
    toys = material(tmp_path)
    with toys.photographs:
        batch = draw_batch(toys.photographs, toys.pictograms, RECIPE.sizes[0], chance)
    lesson = ToyTeacher()(batch.clean)

    found = rows_of(batch, lesson, torch.zeros(12), Concepts(toys.pictograms.codes), 5)

    labelled = int(np.flatnonzero(batch.labels != UNLABELLED)[0])
    assert found.classes[labelled].argmax() == batch.labels[labelled]
    assert found.classes[labelled].square().sum() == pytest.approx(1)
    assert found.classes[12:].abs().sum() == 0
    assert found.pictures.tolist() == list(range(5, 19))


def test_a_queue_keeps_the_newest() -> None:
    queue = Queue(3)
    for number in range(3):
        queue.add(torch.full((2, 4), float(number)), rows())

    vectors, keys = queue.after(torch.full((1, 4), 9.0), rows())

    assert vectors[:, 0].tolist() == [9, 2, 2, 1]
    assert len(keys.features) == 5


def test_a_relation_is_right_when_cosines_are() -> None:
    units = functional.normalize(torch.randn(6, 4, generator=torch.Generator().manual_seed(1)), dim=1)
    cosines = units @ units.T

    itself = torch.eye(6, dtype=torch.bool)
    assert relation(cosines, cosines, itself, 0.1) == pytest.approx(0, abs=1e-6)
    assert relation(-cosines, cosines, itself, 0.1) > 1


def test_what_is_left_out_of_a_relation_does_not_count() -> None:
    cosines, left_out = torch.zeros(2, 4), torch.zeros(2, 4, dtype=torch.bool)
    other, left_out[:, 1] = cosines.clone(), True
    other[:, 1] = 1.0

    assert relation(cosines, other, left_out, 0.1) == pytest.approx(0, abs=1e-6)
    assert relation(cosines, other, torch.zeros_like(left_out), 0.1) > 1


def test_a_view_must_find_its_twin() -> None:
    units = torch.eye(3).repeat(2, 1)
    itself = torch.eye(6, dtype=torch.bool)

    assert instance(units @ units.T, itself, torch.arange(6).roll(3), 0.1) < 0.01
    assert instance(units @ units.T, itself, torch.arange(6).roll(1), 0.1) > 5


def test_a_ridge_finds_a_linear_map() -> None:
    linear, chance = torch.nn.Linear(4, 3), torch.Generator().manual_seed(2)
    inputs = torch.randn(200, 4, generator=chance)
    with torch.no_grad():
        expected = linear(inputs)
        fitted = torch.nn.Linear(4, 3)
        fit_ridge(fitted, inputs, expected, 1e-6)

        assert torch.allclose(fitted(inputs), expected, atol=1e-3)


def test_spread_is_large_where_pictures_crowd() -> None:
    apart = torch.eye(4)
    crowded = functional.normalize(torch.ones(4, 4) + 0.01 * torch.eye(4), dim=1)

    assert spread(crowded) > spread(apart) + 1


def test_distances_and_cells_are_what_they_are_called() -> None:
    assert cosine_distance(torch.eye(2), 3 * torch.eye(2)) == pytest.approx(0)
    cells = resized_cells(torch.arange(8.0).view(1, 2, 2, 2), 2)
    assert cells.tolist() == [[[0, 4], [1, 5], [2, 6], [3, 7]]]
    assert resized_cells(torch.zeros(1, 2, 5, 5), 7).shape == (1, 49, 2)
