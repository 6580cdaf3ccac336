"""Packs: what they hold, and how they are made of the public sources' forms."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile

import numpy as np
import pytest
from PIL import Image

from tests.training.toys import toy_pack
from training import prepare
from training.packs import PackError, load_pack, load_packs, save_pack

pytestmark = pytest.mark.training


def encoded(colour, form="PNG", size=(20, 30), mode="RGB"):
    file = io.BytesIO()
    Image.new(mode, size, colour).save(file, form)
    return file.getvalue()


def repository(folder, files):
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    identity = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]
    for command in (["init", "-q"], ["add", "."], [*identity, "commit", "-qm", "Pictures"]):
        subprocess.run(["git", "-C", str(folder), *command], check=True)
    return folder


def package(path, files):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def test_a_pack_comes_back_as_it_was(tmp_path):
    pack = toy_pack("pictograms")
    save_pack(tmp_path / "a.npz", pack)

    (found,) = load_packs(tmp_path)

    assert np.array_equal(found.pictures, pack.pictures)
    assert np.array_equal(found.labels, pack.labels)
    assert (found.names, found.groups, found.kind, found.about) == (
        pack.names, pack.groups, pack.kind, pack.about
    )  # fmt: skip


def test_a_folder_without_packs_is_refused(tmp_path):
    with pytest.raises(PackError, match="holds no packs"):
        load_packs(tmp_path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"labels": np.full(24, 2)}, "labels that do not fit"),
        ({"labels": np.zeros(3, np.int64)}, "labels that do not fit"),
        ({"pictures": np.zeros((24, 28, 27, 3), np.uint8)}, "not square"),
        ({"pictures": np.zeros((24, 28, 28, 3), np.float32)}, "not square"),
        ({"kind": "paintings"}, "of the kind 'paintings'"),
    ],
)
def test_what_does_not_fit_together_is_refused(change, said, tmp_path):
    pack = toy_pack("photographs")
    save_pack(tmp_path / "a.npz", type(pack)(**{**vars(pack), **change}))

    with pytest.raises(PackError, match=said):
        load_pack(tmp_path / "a.npz")


def test_a_damaged_file_is_refused(tmp_path):
    save_pack(tmp_path / "a.npz", toy_pack("photographs"))
    content = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "a.npz").write_bytes(content[:-40])

    with pytest.raises(PackError, match="is no pack"):
        load_pack(tmp_path / "a.npz")


def test_photographs_come_out_of_git(tmp_path):
    folder = repository(
        tmp_path / "tiny",
        {
            "tiny-imagenet-200/words.txt": b"n00000001\ttabby, tabby cat\nn00000002\tsnail\n",
            "tiny-imagenet-200/train/n00000001/images/n00000001_0.JPEG": encoded("red", "JPEG"),
            "tiny-imagenet-200/train/n00000002/images/n00000002_0.JPEG": encoded("blue", "JPEG"),
            "tiny-imagenet-200/train/n00000002/n00000002_boxes.txt": b"n00000002_0.JPEG 0 0 9 9\n",
            "tiny-imagenet-200/val/images/val_0.JPEG": encoded("green", "JPEG"),
        },
    )

    assert prepare.main([str(tmp_path / "packs"), "--tiny-imagenet", str(folder)]) == 0

    pack = load_pack(tmp_path / "packs" / "tiny-imagenet.npz")
    assert (pack.kind, pack.names) == ("photographs", ("n00000001 tabby, tabby cat", "n00000002 snail"))
    assert pack.pictures.shape == (2, 64, 64, 3)
    assert pack.pictures[pack.labels == 0].mean(axis=(0, 1, 2)) == pytest.approx([254, 0, 0], abs=3)
    assert pack.about["licence"] == "none stated"


def test_pictograms_come_out_of_packages_on_white(tmp_path):
    emoji = [{"unified": "2764-FE0F", "subcategory": "heart"}, {"unified": "1F408", "subcategory": "animal"}]
    archive = package(
        tmp_path / "google.tgz",
        {
            "package.json": json.dumps({"version": "1.2.3"}).encode(),
            "emoji.json": json.dumps(emoji).encode(),
            "img/google/64/2764-fe0f.png": encoded((0, 0, 0, 0), mode="RGBA"),
            "img/google/64/1f408.png": encoded((0, 0, 0, 255), mode="RGBA"),
            "img/google/sheets/1f408.png": encoded("red"),
        },
    )

    prepare.main([str(tmp_path), "--google", str(archive)])

    pack = load_pack(tmp_path / "google.npz")
    assert pack.names == ("1f408", "2764")
    assert pack.groups == {"2764": "heart", "1f408": "animal"}
    assert pack.pictures[pack.labels == 1].min() == 255
    assert pack.pictures[pack.labels == 0].max() == 0
    assert pack.about["source"] == "npm emoji-datasource-google 1.2.3"


def test_the_demo_gallerys_pictograms_become_a_pack(tmp_path, monkeypatch):
    version, drawings = prepare.draw_openmoji()
    few = [next(drawings) for _ in range(5)]
    monkeypatch.setattr(prepare, "draw_openmoji", lambda: (version, iter(few)))

    prepare.main([str(tmp_path), "--openmoji", "installed"])

    pack = load_pack(tmp_path / "openmoji.npz")
    assert len(pack.names) == 5
    assert pack.about["licence"] == "CC BY-SA 4.0"
    assert pack.pictures.min() < 128 < pack.pictures.max()


def test_a_missing_repository_is_an_error(tmp_path):
    with pytest.raises(PackError, match="none"):
        prepare.main([str(tmp_path), "--cifar-10", str(tmp_path / "none")])
