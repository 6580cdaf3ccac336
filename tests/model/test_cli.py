"""``flask model``: output, files and exit status."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from flask import Flask

from config import BUNDLED_MODEL, BUNDLED_WEIGHTS
from model import load_encoder
from model.bench import measure, needed_gflop
from model.compare import compare
from model.config import ViTConfig
from model.files import sha256_file
from tests.support.checkpoints import BASE, write_tiny_checkpoint
from tests.support.goldens import golden_picture

Run = Callable[..., Result]


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"MODEL_PATH": str(write_tiny_checkpoint(tmp_path / "tiny.safetensors"))}


@pytest.fixture
def run(app: Flask) -> Run:
    def invoke(*arguments: object) -> Result:
        result = app.test_cli_runner().invoke(args=["model", *map(str, arguments)])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    return invoke


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / "one.png", tmp_path / "two.jpg"]
    for index, path in enumerate(paths):
        golden_picture(90 + index, 80).save(path)
    return paths


class TestEmbed:
    def test_writes_the_float32_features_of_the_library(
        self, run: Run, pictures: list[Path], tmp_path: Path, app: Flask
    ) -> None:
        result = run("embed", *pictures, "--output", tmp_path / "f.npy")

        assert result.exit_code == 0, result.output
        features = np.load(tmp_path / "f.npy", allow_pickle=False)
        assert features.dtype == np.float32
        np.testing.assert_array_equal(
            features, load_encoder(app.config["VITRINE"].model_path).encode(pictures)
        )

    def test_accepts_weights_and_modes(self, run: Run, pictures: list[Path], tmp_path: Path) -> None:
        weights = write_tiny_checkpoint(tmp_path / "other.npz", seed=3)
        modes = ["--preprocess", "resize_short_side", "--positions", "transformers"]

        result = run("embed", *pictures, "--weights", weights, *modes, "--output", tmp_path / "f.npy")

        assert result.exit_code == 0, result.output
        encoder = load_encoder(weights, preprocess="resize_short_side", positions="transformers")
        np.testing.assert_array_equal(np.load(tmp_path / "f.npy"), encoder.encode(pictures))

    def test_names_a_broken_picture_and_writes_nothing(
        self, run: Run, pictures: list[Path], tmp_path: Path
    ) -> None:
        (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")

        result = run("embed", *pictures, tmp_path / "broken.png", "--output", tmp_path / "f.npy")

        assert result.exit_code == 1
        assert "broken.png" in result.output
        assert not (tmp_path / "f.npy").exists()

    def test_names_a_damaged_checkpoint(self, run: Run, pictures: list[Path], tmp_path: Path) -> None:
        (tmp_path / "faulty.pth").write_bytes(b"nothing")

        result = run("embed", *pictures, "--weights", tmp_path / "faulty.pth", "--output", tmp_path / "f.npy")

        assert result.exit_code == 1
        assert "faulty.pth" in result.output


class TestVerify:
    @pytest.fixture
    def reference(self, run: Run, pictures: list[Path], tmp_path: Path) -> Path:
        run("embed", *pictures, "--output", tmp_path / "f.npy")
        return tmp_path / "f.npy"

    def test_passes_equal_features(self, run: Run, pictures: list[Path], reference: Path) -> None:
        result = run("verify", *pictures, "--reference", reference)

        assert result.exit_code == 0, result.output
        assert result.output.splitlines()[-1] == "PASS"
        assert result.output.count("PASS") == 3

    def test_fails_different_features_with_status_1(
        self, run: Run, pictures: list[Path], reference: Path
    ) -> None:
        features = np.load(reference)
        features[1, 5] += 0.01
        np.save(reference, features)

        result = run("verify", *pictures, "--reference", reference)

        assert result.exit_code == 1
        lines = result.output.splitlines()
        assert [line.split()[0] for line in lines] == ["PASS", "FAIL", "FAIL"]
        assert "max 1.00e-02" in lines[1]

    def test_accepts_other_limits(self, run: Run, pictures: list[Path], reference: Path) -> None:
        np.save(reference, np.load(reference) + np.float32(1e-3))

        assert run("verify", *pictures, "--reference", reference).exit_code == 1
        loose = ["--cosine", "1e-3", "--largest", "1e-2"]
        assert run("verify", *pictures, "--reference", reference, *loose).exit_code == 0

    @pytest.mark.parametrize(
        ("array", "complaint"),
        [
            (np.zeros((1, 64), np.float32), "shape (1, 64)"),
            (np.zeros((2, 64), np.int64), "int64"),
            (np.full((2, 64), np.nan), "not finite"),
            (np.array([{}, {}], dtype=object), "not a .npy file"),
        ],
        ids=["rows", "type", "nan", "pickled"],
    )
    def test_refuses_an_unusable_reference(
        self, run: Run, pictures: list[Path], tmp_path: Path, array: Any, complaint: str
    ) -> None:
        np.save(tmp_path / "f.npy", array)

        result = run("verify", *pictures, "--reference", tmp_path / "f.npy")

        assert result.exit_code == 1
        assert complaint in result.output

    def test_reports_that_transformers_is_not_installed(
        self, run: Run, pictures: list[Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(__import__("sys").modules, "torch", None)

        result = run("verify", *pictures, "--against", "transformers")

        assert result.exit_code == 1
        assert "torch is not installed" in result.output

    def test_requires_exactly_one_reference(self, run: Run, pictures: list[Path], reference: Path) -> None:
        assert run("verify", *pictures).exit_code == 2
        assert run("verify", *pictures, "--reference", reference, "--against", "transformers").exit_code == 2

    def test_distances_follow_their_definitions(self) -> None:
        a, b = np.array([[3.0, 4.0]]), np.array([[4.0, 3.0]])

        (row,) = compare(a, b)

        assert row.cosine == pytest.approx(24 / 25)
        assert (row.largest, row.mean, row.squared) == (1, 1, 1)
        assert not row.within()


class TestInfo:
    def test_shows_the_model_in_use(self, run: Run, app: Flask) -> None:
        result = run("info")

        assert result.exit_code == 0, result.output
        encoder = load_encoder(app.config["VITRINE"].model_path)
        assert "Model in use:   tiny" in result.output
        assert encoder.fingerprint.weights_sha256 in result.output
        assert f"{encoder.config.parameters:,}" in result.output

    @pytest.mark.parametrize("environ", [{"MODEL": BUNDLED_MODEL}])
    def test_explains_the_bundled_model_and_how_to_get_dinov2(
        self, run: Run, environ: dict[str, str]
    ) -> None:
        result = run("info")

        assert result.exit_code == 0, result.output
        assert "Model in use:   vitrine-small, which comes with Vitrine" in result.output
        assert "int8 and float32" in result.output
        assert "is for DINOv2-base" in result.output
        assert "flask model fetch dinov2-base" in result.output

    @pytest.mark.parametrize("environ", [{"MODEL": "dinov2-large"}])
    def test_explains_how_to_get_missing_weights(self, run: Run, environ: dict[str, str]) -> None:
        result = run("info")

        assert result.exit_code == 1
        assert "The file does not exist" in result.output
        assert "flask model fetch" in result.output


def test_convert_reports_what_it_wrote(run: Run, tmp_path: Path) -> None:
    source = write_tiny_checkpoint(tmp_path / "m.pth")

    result = run("convert", source, tmp_path / "new.safetensors")

    assert result.exit_code == 0, result.output
    assert load_encoder(tmp_path / "new.safetensors").config == load_encoder(source).config
    assert "width 64, depth 2" in result.output
    assert "float32" in result.output


def test_convert_and_info_say_the_storage_type(run: Run, tmp_path: Path, app: Flask) -> None:
    weights = app.config["VITRINE"].model_path
    run("convert", weights, tmp_path / "eight.safetensors", "--storage", "int8")
    assert "Storage:        float32, " in run("info").output

    (tmp_path / "eight.safetensors").replace(weights)

    assert "Storage:        int8 and float32, 0." in run("info").output


def test_bench_measures_the_model_in_use(run: Run) -> None:
    result = run("bench", "--rounds", "3")

    assert result.exit_code == 0, result.output
    assert "one picture" in result.output
    assert "matrix products" in result.output


def test_the_shares_of_the_benchmark_add_up() -> None:
    figures = measure(load_encoder(BUNDLED_WEIGHTS), rounds=3)

    assert sum(figures.parts.values()) == pytest.approx(1)
    assert {"matrix products", "softmax", "GELU", "LayerNorm"} <= set(figures.parts)
    assert figures.tokens == 50
    assert min(figures.seconds, figures.batch_seconds, figures.sgemm) > 0


def test_the_work_of_base_is_as_published() -> None:
    assert needed_gflop(BASE, 257) == pytest.approx(43.1, abs=0.05)
    giant = ViTConfig(width=1536, depth=40, heads=24, hidden=4096, mlp="swiglu", patch=14, grid=37)
    assert needed_gflop(giant, 257) == pytest.approx(2 * 257 * giant.parameters / 1e9, rel=0.05)


def test_the_files_of_the_bundled_model_agree() -> None:
    beside = json.loads((BUNDLED_WEIGHTS.parent / "preprocessor_config.json").read_text())
    geometry = load_encoder(BUNDLED_WEIGHTS).geometry

    assert beside["size"]["shortest_edge"] == geometry.resize
    assert beside["crop_size"] == {"height": geometry.crop, "width": geometry.crop}
    assert sha256_file(BUNDLED_WEIGHTS) in (BUNDLED_WEIGHTS.parent / "README.md").read_text()
    assert BUNDLED_WEIGHTS.stat().st_size <= 26e6
