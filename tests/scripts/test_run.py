"""``make run`` after set-up: the real launcher, its real children, a gallery of a few pictures."""

from __future__ import annotations

import os
import shutil
import signal
import socket
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

import pytest
import redis

from config import BUNDLED_WEIGHTS, load_settings
from gallery.catalog import Catalog
from gallery.indexing import build
from model import load_encoder
from model.files import sha256_file
from scripts import preparation
from tests.support.checkpoints import write_tiny_checkpoint
from tests.support.drawings import PICTURES
from tests.support.servers import Process, alive, answers, free_port, process, redis_server
from tests.support.waiting import eventually


class Launch:
    """One ``make run`` in a data directory of its own."""

    def __init__(self, directory: Path, gallery: Path) -> None:
        self.directory = directory
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.environ = {
            "DATA_DIR": str(directory / "data"),
            "GALLERY": str(gallery),
            "PORT": str(self.port),
            "REDIS_URL": "",
            "MODEL": "",
            "SECRET_KEY": "",
            "DATABASE_URL": "",
        }

    def __call__(self, **environ: str) -> AbstractContextManager[Process]:
        log = self.directory / "run.log"
        return process(
            "-m",
            "scripts.run",
            environ={**self.environ, **environ},
            log=log,
            ready=lambda: "Vitrine is ready" in log.read_text(),
        )

    def refused(self, **environ: str) -> str:
        """Launch, expect a refusal, and return its only line."""
        with self(**environ) as run:
            assert run.wait() == 1
            (line,) = run.output().splitlines()
            assert run.descendants() == set()
        return line

    @property
    def redis_url(self) -> str:
        return (self.directory / "data" / "redis" / "address").read_text()


@pytest.fixture
def launch(tmp_path: Path, template: Path) -> Launch:
    return Launch(tmp_path, template / "pictures")


def commands(pids: set[int]) -> dict[str, int]:
    found = {}
    for pid in pids:
        line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        for name in ("wsgi.py", "-m worker", "redis-server"):
            if name in line:
                found.setdefault(name, pid)
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serves_and_ends_all_that_it_started(launch: Launch, number: signal.Signals) -> None:
    with launch() as run:
        assert f"Vitrine is ready: {launch.address}" in run.output()
        assert f"{PICTURES} pictures" in run.output()
        assert answers(launch.address)
        family = run.descendants()
        assert set(commands(family)) == {"wsgi.py", "-m worker", "redis-server"}
        run.signal(number)
        assert run.wait() == 0
        assert not [pid for pid in family if alive(pid)]
    assert not (launch.directory / "data" / "redis" / "address").exists()


def test_a_second_run_in_the_same_place_is_refused_and_a_later_one_goes_on(launch: Launch) -> None:
    with launch() as run:
        log, other = launch.directory / "other.log", {**launch.environ, "PORT": str(free_port())}
        with process("-m", "scripts.run", environ=other, log=log, ready=lambda: False) as second:
            assert second.wait() == 1
            assert "another make run uses" in second.output()
        client = redis.Redis.from_url(launch.redis_url)
        client.set("kept", "yes")
        client.close()
        run.signal(signal.SIGINT)
        assert run.wait() == 0
    with launch() as run:
        assert f"0 encoded, {PICTURES} known before" in run.output()
        client = redis.Redis.from_url(launch.redis_url)
        assert client.get("kept") == b"yes"
        client.close()


@pytest.mark.parametrize("name", ["compact", "vitrine-small"])
def test_a_gallery_that_was_indexed_with_other_weights_is_indexed_anew_and_that_is_said(
    launch: Launch, template: Path, name: str
) -> None:
    data, pictures = launch.directory / "data", template / "pictures"
    encoder = load_encoder(write_tiny_checkpoint(launch.directory / "old.safetensors"))
    build(pictures, data / "indexes" / name, encoder, thumbnails_dir=data / "thumbnails")
    said = "The gallery in use was indexed with other weights; vitrine-small indexes it anew"
    with launch(GALLERY="") as run:
        told = run.output()
        assert told.count(said) == 1
        assert f"{PICTURES} pictures: {PICTURES} encoded" in told
        assert (f"{data}/indexes/compact, the index of a model" in told) == (name == "compact")
        run.signal(signal.SIGINT)
        assert run.wait() == 0
    with Catalog.open(data / "indexes" / "vitrine-small") as catalog:
        assert catalog.manifest.root == str(pictures)
        assert catalog.manifest.fingerprint["weights_sha256"] == sha256_file(BUNDLED_WEIGHTS)
    with launch(GALLERY="") as run:
        assert "ndex" not in run.output()


def test_without_the_gallery_of_an_index_of_other_weights_the_way_out_is_said(
    launch: Launch, template: Path
) -> None:
    data, pictures = launch.directory / "data", launch.directory / "pictures"
    shutil.copytree(template / "pictures", pictures)
    encoder = load_encoder(write_tiny_checkpoint(launch.directory / "old.safetensors"))
    build(pictures, data / "indexes" / "vitrine-small", encoder, thumbnails_dir=data / "thumbnails")
    shutil.rmtree(pictures)
    assert "GALLERY=/path/to/pictures make run" in launch.refused(GALLERY="")


def test_redis_is_started_again_when_it_dies(launch: Launch) -> None:
    with launch() as run:
        dead = commands(run.descendants())["redis-server"]
        os.kill(dead, signal.SIGKILL)
        eventually(lambda: commands(run.descendants()).get("redis-server", dead) != dead)
        client = redis.Redis.from_url(launch.redis_url)
        eventually(lambda: client.scard("rq:workers:searches") >= 1)
        client.close()


def test_everything_ends_when_a_process_ends(launch: Launch) -> None:
    with launch() as run:
        family = run.descendants()
        os.kill(commands(family)["wsgi.py"], signal.SIGKILL)
        assert run.wait() == 1
        assert "web ended with status -9" in run.output()
        eventually(lambda: not [pid for pid in family if alive(pid)])


def test_a_redis_of_ones_own_is_used_and_left_alone(launch: Launch) -> None:
    with redis_server() as server:
        with launch(REDIS_URL=server.url) as run:
            assert set(commands(run.descendants())) == {"wsgi.py", "-m worker"}
            run.signal(signal.SIGINT)
            assert run.wait() == 0
        assert server.alive()


def test_a_taken_port_is_named_before_anything_is_made(launch: Launch) -> None:
    with socket.create_server(("127.0.0.1", launch.port)):
        line = launch.refused()
    assert line == f"vitrine: Port {launch.port} is taken; choose another: PORT={launch.port + 1} make run"
    assert not list((launch.directory / "data").glob("*.db"))


@pytest.mark.parametrize(
    ("environ", "mend"),
    [
        ({"PORT": "eighty"}, "PORT is 'eighty'; it must be a whole number"),
        ({"GALLERY": "/nowhere"}, "GALLERY=/nowhere is no folder"),
        ({"REDIS_URL": "unix:///nowhere.sock"}, "start it, or unset REDIS_URL"),
        ({"MODEL_PATH": "/nowhere.safetensors"}, "look at MODEL_PATH"),
        ({"DATABASE_URL": "sqlite:////nowhere/vitrine.db"}, "look at DATABASE_URL"),
        ({"DATA_DIR": "/proc/nowhere"}, "DATA_DIR /proc/nowhere cannot be"),
    ],
)
def test_what_is_wrong_is_one_line_with_its_mend(launch: Launch, environ: dict[str, str], mend: str) -> None:
    assert mend in launch.refused(**environ)


def test_a_redis_that_may_evict_is_refused(launch: Launch) -> None:
    with redis_server("--maxmemory", "50mb", "--maxmemory-policy", "allkeys-lru") as server:
        assert "CONFIG SET maxmemory-policy noeviction" in launch.refused(REDIS_URL=server.url)


def test_a_disk_that_is_nearly_full_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = load_settings({"DATA_DIR": str(tmp_path)})
    monkeypatch.setattr("shutil.disk_usage", lambda path: _Usage(10**12, 10**12 - 10**6, 10**6))
    with pytest.raises(
        preparation.StartError, match=r"has 0 MB left and 300 are needed.*DATA_DIR=/path make run"
    ):
        preparation.check_disk(settings)


class _Usage(NamedTuple):
    total: int
    used: int
    free: int
