"""Settings: valid ones become typed, invalid ones are named."""

from __future__ import annotations

import multiprocessing
import stat
from pathlib import Path

import pytest

from config import BUNDLED_WEIGHTS, SettingsError, load_settings


def settings(tmp_path: Path, **environ: str) -> object:
    return load_settings({"DATA_DIR": str(tmp_path), **environ})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "abc"),
        ("PORT", "0"),
        ("PORT", "70000"),
        ("PORT", "-1"),
        ("PORT", "８０００"),
        ("WORKERS", "1.5"),
        ("MAX_UPLOAD_MB", "0"),
        ("LOG_LEVEL", "LOUD"),
        ("APP_ENV", "prod"),
        ("MODEL", "../secret"),
        ("REDIS_URL", "http://localhost"),
        ("DATABASE_URL", "mysql://x"),
        ("DATABASE_URL", "vitrine.db"),
        ("DATABASE_URL", "sqlite://"),
        ("DATABASE_URL", "sqlite:///"),
        ("SECRET_KEY", "short"),
        ("PREPROCESS", "squash"),
        ("TRUSTED_HOSTS", "https://pictures.example.org"),
        ("TRUSTED_HOSTS", "pictures.example.org:8000"),
        ("TRUSTED_HOSTS", "localhost, *"),
    ],
)
def test_a_senseless_value_is_named_with_the_mend(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        settings(tmp_path, **{name: value})


def test_the_bundled_model_of_earlier_versions_is_named_with_the_one_that_replaced_it(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="vitrine-small has replaced"):
        settings(tmp_path, MODEL="compact")


def test_the_bundled_model_keeps_its_name_where_it_is_named_by_its_path(tmp_path: Path) -> None:
    environ = {"DATA_DIR": str(tmp_path)}
    default = load_settings(environ)
    by_path = load_settings({**environ, "MODEL_PATH": str(BUNDLED_WEIGHTS)})
    assert by_path.index_dir == default.index_dir == tmp_path / "indexes" / "vitrine-small"
    assert load_settings({**environ, "MODEL": "dinov2-small"}).index_dir != default.index_dir


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_way_to_write_postgresql_is_understood(tmp_path: Path, scheme: str) -> None:
    found = load_settings({"DATA_DIR": str(tmp_path), "DATABASE_URL": f"{scheme}://u:p@h/d"})
    assert found.database_url == "postgresql+psycopg://u:p@h/d"


def test_production_wants_a_key_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="openssl rand"):
        settings(tmp_path, APP_ENV="production")
    assert not list(tmp_path.iterdir())


def test_elsewhere_a_key_is_made_once_and_kept_for_its_owner_alone(tmp_path: Path) -> None:
    first, second = (load_settings({"DATA_DIR": str(tmp_path)}).secret_key for _ in range(2))
    assert first == second
    assert len(first) == 64
    assert stat.S_IMODE((tmp_path / "secret_key").stat().st_mode) == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["secret_key"]


def _key(directory: str, results: multiprocessing.Queue[str]) -> None:
    results.put(load_settings({"DATA_DIR": directory}).secret_key)


def test_processes_that_start_together_have_one_key(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("fork")
    results: multiprocessing.Queue[str] = spawn.Queue()
    processes = [spawn.Process(target=_key, args=(str(tmp_path), results)) for _ in range(8)]
    for process in processes:
        process.start()
    keys = {results.get(timeout=30) for _ in processes}
    for process in processes:
        process.join(30)
    assert len(keys) == 1
    assert len(keys.pop()) == 64


def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match="DATA_DIR"):
        load_settings({"DATA_DIR": str(tmp_path / "file" / "below")})
