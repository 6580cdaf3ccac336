"""Installing official checkpoints."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from config import SettingsError, load_settings
from model import load_encoder
from model.checkpoints import registry
from model.checkpoints.convert import convert
from model.checkpoints.fetch import fetch
from model.checkpoints.layouts import HUB, OFFICIAL, Layout
from model.checkpoints.registry import CHECKPOINTS, OfficialCheckpoint
from model.checkpoints.weights import open_weights
from model.errors import CheckpointError, DownloadError
from model.preprocess import Geometry
from tests.support.checkpoints import KINDS, random_tensors, write_checkpoint
from tests.support.http import Page, Site, serving

TINY = KINDS["registers"]
NAME = "dinov2-tiny"


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as site:
        yield site


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("model.transfer.downloads._MAX_PAUSE", 0.001)


@pytest.fixture
def pth(tmp_path: Path) -> Path:
    return write_checkpoint(tmp_path / "official.pth", TINY, layout=OFFICIAL)


@pytest.fixture
def official(pth: Path, monkeypatch: pytest.MonkeyPatch) -> OfficialCheckpoint:
    """Register a tiny checkpoint as an official one."""
    body = pth.read_bytes()
    entry = OfficialCheckpoint(
        NAME,
        "vitt14",
        TINY.width,
        TINY.depth,
        TINY.registers,
        100_000,
        hashlib.sha256(body).hexdigest(),
        len(body),
        "a" * 40,
    )
    monkeypatch.setitem(registry.CHECKPOINTS, NAME, entry)
    return entry


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return tmp_path / "data" / "models"


PATH = "/dinov2/dinov2_vitt14/dinov2_vitt14_reg4_pretrain.pth"
HUB_PATH = f"/facebook/{NAME}/resolve/{'a' * 40}/model.safetensors"


def holds_the_official_tensors(path: Path) -> bool:
    expected = random_tensors(TINY)
    with open_weights(path) as weights:
        return all(np.array_equal(weights.read(name), expected[name]) for name in TINY.shapes())


def test_an_official_checkpoint_is_fetched_checked_converted_and_installed(
    site: Site, official: OfficialCheckpoint, pth: Path, models: Path
) -> None:
    site.put(PATH, Page(pth.read_bytes(), breaks=[1_000]))
    seen: list[tuple[int, int | None]] = []
    mirror = site.address + "/dinov2/"
    path = fetch(NAME, models, mirror=mirror, progress=lambda *step: seen.append(step))
    assert path == models / f"{NAME}.safetensors"
    assert holds_the_official_tensors(path)
    assert seen[-1] == (official.size, official.size)
    assert site.ranges_asked() == ["", "bytes=1000-"]
    assert list(models.iterdir()) == [path]


def test_an_installed_checkpoint_is_not_fetched_again(
    site: Site, official: OfficialCheckpoint, models: Path
) -> None:
    models.mkdir(parents=True)
    (models / f"{NAME}.safetensors").write_text("installed")
    assert fetch(NAME, models, mirror=site.address) == models / f"{NAME}.safetensors"
    assert site.asked == []


@pytest.mark.usefixtures("official")
def test_a_file_with_a_wrong_checksum_is_not_installed(site: Site, pth: Path, models: Path) -> None:
    data = bytearray(pth.read_bytes())
    data[5_000] ^= 1
    site.put(PATH, bytes(data))
    with pytest.raises(DownloadError, match="wrong content"):
        fetch(NAME, models, mirror=site.address + "/dinov2")
    assert list(models.iterdir()) == []


@pytest.mark.usefixtures("official")
def test_without_a_network_the_hint_to_download_by_hand_works(pth: Path, models: Path) -> None:
    with pytest.raises(DownloadError) as caught:
        fetch(NAME, models, mirror="http://127.0.0.1:9")
    by_hand = models / "dinov2_vitt14_reg4_pretrain.pth"
    assert f"save it as {by_hand} and run the command again" in str(caught.value)
    assert "\n" not in str(caught.value)
    by_hand.write_bytes(pth.read_bytes())
    assert holds_the_official_tensors(fetch(NAME, models, mirror="http://127.0.0.1:9"))
    assert not by_hand.exists()


@pytest.mark.usefixtures("official")
def test_a_file_downloaded_by_hand_is_checked_installed_and_kept(pth: Path, models: Path) -> None:
    assert holds_the_official_tensors(fetch(NAME, models, file=pth))
    assert pth.exists()


def test_a_wrong_file_downloaded_by_hand_is_refused_with_a_hint(
    official: OfficialCheckpoint, tmp_path: Path, models: Path
) -> None:
    other = write_checkpoint(tmp_path / "other.pth", TINY, seed=1, layout=OFFICIAL)
    with pytest.raises(CheckpointError, match=rf"should be {official.sha256}.*flask model convert"):
        fetch(NAME, models, file=other)
    with pytest.raises(CheckpointError, match="cannot be read"):
        fetch(NAME, models, file=tmp_path / "missing.pth")
    assert list(models.iterdir()) == []


@pytest.mark.usefixtures("official")
def test_the_hub_is_tried_second_with_a_notice_that_it_is_unchecked(site: Site, models: Path) -> None:
    hub_file = write_checkpoint(models.parent.parent / "hub.safetensors", TINY, layout=HUB)
    site.put(HUB_PATH, hub_file.read_bytes())
    notices: list[str] = []
    path = fetch(NAME, models, mirror=site.address, hub=site.address + "/", notice=notices.append)
    assert holds_the_official_tensors(path)
    assert "its checksum is unknown" in notices[0]
    assert list(models.iterdir()) == [path]


@pytest.mark.usefixtures("official")
def test_the_hub_is_not_tried_by_default(site: Site, models: Path) -> None:
    with pytest.raises(DownloadError, match="404"):
        fetch(NAME, models, mirror=site.address)
    assert len(site.asked) == 1


@pytest.mark.usefixtures("official")
def test_another_model_from_the_hub_is_refused(site: Site, tmp_path: Path, models: Path) -> None:
    other = write_checkpoint(tmp_path / "other.safetensors", KINDS["plain"], layout=HUB)
    site.put(HUB_PATH, other.read_bytes())
    with pytest.raises(CheckpointError, match="is not dinov2-tiny: width 64, depth 2, 0 registers"):
        fetch(NAME, models, mirror=site.address, hub=site.address)
    assert list(models.iterdir()) == []


@pytest.mark.usefixtures("official")
def test_a_disk_that_fails_while_installing_keeps_the_official_file(pth: Path, models: Path) -> None:
    models.mkdir(parents=True)
    (models / f"{NAME}.safetensors").mkdir()  # what the new file cannot replace
    by_hand = models / "dinov2_vitt14_reg4_pretrain.pth"
    by_hand.write_bytes(pth.read_bytes())
    with pytest.raises(CheckpointError, match="cannot be written"):
        fetch(NAME, models, mirror="http://127.0.0.1:9")
    assert by_hand.exists()


def test_a_folder_that_cannot_be_created_and_an_unknown_name_are_errors(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DownloadError, match="cannot be created"):
        fetch("dinov2-base", tmp_path / "file" / "models")
    with pytest.raises(
        CheckpointError, match="not an official checkpoint; choose one of: dinov2-small, dinov2-base"
    ):
        fetch("dinov3-base", tmp_path)


def test_the_registry_has_the_eight_official_checkpoints() -> None:
    kinds = {(size, register) for size in ("small", "base", "large", "giant") for register in ("", "-reg")}
    assert set(CHECKPOINTS) == {f"dinov2-{size}{register}" for size, register in kinds}
    assert len({checkpoint.sha256 for checkpoint in CHECKPOINTS.values()}) == 8
    for name, checkpoint in CHECKPOINTS.items():
        assert checkpoint.name == name
        assert len(bytes.fromhex(checkpoint.sha256)) == 32
        assert checkpoint.registers == (4 if name.endswith("-reg") else 0)
        assert checkpoint.size is None or abs(checkpoint.size / (4 * checkpoint.parameters) - 1) < 0.01
    assert CHECKPOINTS["dinov2-base"].url() == (
        "https://dl.fbaipublicfiles.com/dinov2/dinov2_vitb14/dinov2_vitb14_pretrain.pth"
    )
    assert CHECKPOINTS["dinov2-giant-reg"].url("http://m/d/") == (
        "http://m/d/dinov2_vitg14/dinov2_vitg14_reg4_pretrain.pth"
    )
    assert CHECKPOINTS["dinov2-giant-reg"].hub_url("http://hub") == ""


def test_mirrors_are_settings(tmp_path: Path) -> None:
    environ = {"DATA_DIR": str(tmp_path), "DINOV2_MIRROR": "https://m.example/dinov2", "HF_ENDPOINT": ""}
    settings = load_settings(environ)
    assert (settings.dinov2_mirror, settings.hf_endpoint) == ("https://m.example/dinov2", "")
    for value in ("m.example", "ftp://m.example", "https://", "https://a b"):
        with pytest.raises(SettingsError, match="HF_ENDPOINT"):
            load_settings(environ | {"HF_ENDPOINT": value})


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("layout", [HUB, OFFICIAL], ids=lambda layout: layout.name)
def test_conversion_keeps_every_number_and_what_no_tensor_tells(
    tmp_path: Path, kind: str, layout: Layout
) -> None:
    config = replace(KINDS[kind], eps=1e-5)
    source = write_checkpoint(tmp_path / "source.safetensors", config, layout=layout)
    (tmp_path / "config.json").write_text('{"layer_norm_eps": 1e-5}')
    target = tmp_path / "elsewhere" / "target.safetensors"
    target.parent.mkdir()
    assert convert(source, target) == config
    expected = random_tensors(config)
    with open_weights(target) as weights:
        assert weights.config == config
        assert all(np.array_equal(weights.read(name), expected[name]) for name in config.shapes())


def test_conversion_widens_half_precision(tmp_path: Path) -> None:
    source = write_checkpoint(tmp_path / "source.npz", TINY, half=True)
    convert(source, tmp_path / "target.safetensors")
    with open_weights(source) as before, open_weights(tmp_path / "target.safetensors") as after:
        assert all(np.array_equal(before.read(name), after.read(name)) for name in TINY.shapes())


def test_a_converted_checkpoint_prepares_pictures_as_its_source_did(tmp_path: Path) -> None:
    source = write_checkpoint(tmp_path / "source.safetensors", TINY)
    (tmp_path / "preprocessor_config.json").write_text(
        json.dumps({"size": {"shortest_edge": 90}, "crop_size": {"height": 84, "width": 84}})
    )
    target = tmp_path / "elsewhere" / "target.safetensors"
    target.parent.mkdir()
    convert(source, target)
    assert load_encoder(target).geometry == load_encoder(source).geometry == Geometry(90, 84)


def test_a_converted_checkpoint_is_a_plain_safetensors_file_with_an_aligned_header(tmp_path: Path) -> None:
    source = write_checkpoint(tmp_path / "source.pth", TINY, layout=OFFICIAL)
    target = tmp_path / "target.safetensors"
    convert(source, target)
    with target.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
    assert length % 8 == 0
    assert header["norm.bias"]["dtype"] == "F32"
    assert max(entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__") == (
        target.stat().st_size - 8 - length
    )


def test_a_conversion_that_fails_leaves_nothing(tmp_path: Path) -> None:
    source = write_checkpoint(tmp_path / "source.pth", TINY, layout=OFFICIAL)
    with pytest.raises(CheckpointError, match=r"must end in \.safetensors"):
        convert(source, tmp_path / "target.npz")
    with pytest.raises(CheckpointError, match="cannot be written"):
        convert(source, tmp_path / "missing" / "target.safetensors")
    damaged = bytearray(source.read_bytes())
    source.write_bytes(damaged[: len(damaged) // 2])
    with pytest.raises(CheckpointError):
        convert(source, tmp_path / "target.safetensors")
    assert [path.name for path in tmp_path.iterdir()] == ["source.pth"]
