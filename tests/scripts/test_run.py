"""``make run`` after set-up: the real launcher and its children, with a gallery of a few pictures."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import uuid
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

import pytest
import redis
import requests

from config import BUNDLED_WEIGHTS, load_settings
from gallery.catalog import Catalog
from gallery.indexing import build
from model import load_encoder
from model.files import sha256_file
from scripts import preparation
from tests.support.checkpoints import write_tiny_checkpoint
from tests.support.drawings import PICTURES, picture
from tests.support.servers import ROOT, Process, alive, answers, free_port, process, redis_server
from tests.support.waiting import eventually
from tests.support.web import TOKEN

PRIVATE = "other users of this machine could read"  # the one message about modes that a test may cause


class Launch:
    """One ``make run`` in its own data directory."""

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
        """Launch, expect a refusal, and return its message, which is one line."""
        with self(**environ) as run:
            assert run.wait() == 1
            *steps, line = run.output().splitlines()
            assert all(step.startswith(("  ", PRIVATE)) for step in steps), steps
            assert run.descendants() == set()
        return line

    @property
    def redis_url(self) -> str:
        return (self.directory / "data" / "redis" / "address").read_text()


@pytest.fixture
def launch(tmp_path: Path, template: Path) -> Launch:
    return Launch(tmp_path, template / "pictures")


def submit(visitor: requests.Session, address: str, content: bytes) -> str:
    """Search with a picture; return the address of the search."""
    page = visitor.get(address, timeout=20).text
    fields = {"csrf_token": TOKEN.findall(page)[0], "submission": uuid.uuid4().hex}
    answer = visitor.post(f"{address}/searches", fields, files={"image": ("p.png", content)}, timeout=20)
    assert answer.ok, answer.text
    assert "/searches/" in answer.url
    return answer.url


def searchers(redis_url: str) -> int:
    """Return the number of searchers that Redis knows; 0 while it does not answer."""
    with redis.Redis.from_url(redis_url) as client:
        try:
            return int(client.scard("rq:workers:searches"))
        except redis.RedisError:
            return 0


def commands(pids: set[int]) -> dict[str, int]:
    found = {}
    for pid in pids:
        line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        for name in ("wsgi.py", "-m worker", "redis-server"):
            if name in line:
                found.setdefault(name, pid)
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_and_stops_everything_that_it_started(launch: Launch, number: signal.Signals) -> None:
    with launch() as run:
        assert f"Vitrine is ready: {launch.address}" in run.output()
        assert f"{PICTURES} pictures in " in run.output()
        assert answers(launch.address)
        family = run.descendants()
        assert set(commands(family)) == {"wsgi.py", "-m worker", "redis-server"}
        run.signal(number)
        assert run.wait() == 0
        assert not [pid for pid in family if alive(pid)]
    assert not (launch.directory / "data" / "redis" / "address").exists()


def test_a_second_run_in_the_same_place_is_refused_and_a_later_one_continues(launch: Launch) -> None:
    with launch() as run:
        log, other = launch.directory / "other.log", {**launch.environ, "PORT": str(free_port())}
        with process("-m", "scripts.run", environ=other, log=log, ready=lambda: False) as second:
            assert second.wait() == 1
            assert f"another make run (process {run.popen.pid}) uses" in second.output()
        client = redis.Redis.from_url(launch.redis_url)
        client.set("kept", "yes")
        client.close()
        run.signal(signal.SIGINT)
        assert run.wait() == 0
    with launch() as run:
        assert f"{PICTURES} pictures, all unchanged" in run.output()
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
    said = f"made with another model or version; indexing {pictures} again with vitrine-small"
    with launch(GALLERY="") as run:
        told = run.output()
        assert told.count(said) == 1
        assert (f"the index of an earlier model in {data}/indexes/compact" in told) == (name == "compact")
        run.signal(signal.SIGINT)
        assert run.wait() == 0
    with Catalog.open(data / "indexes" / "vitrine-small") as catalog:
        assert catalog.manifest.root == str(pictures)
        assert catalog.manifest.fingerprint["weights_sha256"] == sha256_file(BUNDLED_WEIGHTS)
    with launch(GALLERY="") as run:
        assert "another model or version" not in run.output()


def test_without_the_gallery_of_an_index_of_other_weights_the_way_out_is_said(
    launch: Launch, template: Path
) -> None:
    data, pictures = launch.directory / "data", launch.directory / "pictures"
    shutil.copytree(template / "pictures", pictures)
    encoder = load_encoder(write_tiny_checkpoint(launch.directory / "old.safetensors"))
    build(pictures, data / "indexes" / "vitrine-small", encoder, thumbnails_dir=data / "thumbnails")
    shutil.rmtree(pictures)
    assert "GALLERY=/path/to/pictures make run" in launch.refused(GALLERY="")


def test_an_absent_gallery_never_empties_the_index_and_another_replaces_it(
    tmp_path: Path, template: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    settings, first, second = load_settings(), tmp_path / "first", tmp_path / "second"
    shutil.copytree(template / "pictures", first)
    shutil.copytree(template / "pictures", second)
    next(second.glob("*.png")).unlink()

    def told(gallery: Path) -> str:
        preparation.index(settings, {"GALLERY": str(gallery)})
        return capfd.readouterr().out

    assert f"{PICTURES} pictures in " in told(first)
    aside = first.rename(tmp_path / "unmounted")
    assert f"{first} is missing, perhaps not mounted: {PICTURES} pictures stay indexed" in told(first)
    first.mkdir()
    assert f"No picture in {first} can be used" in (empty := told(first))
    assert "the index stays in use as it is" in empty
    shutil.copy(next(aside.glob("*.png")), first)
    assert f"{PICTURES - 1} of {PICTURES} pictures are missing in {first}" in told(first)
    replaced = f"0 new, {PICTURES - 1} unchanged, 1 removed; {second} replaces {first}"
    assert replaced in told(second)


def test_an_empty_gallery_starts_with_the_next_step(launch: Launch) -> None:
    (launch.directory / "empty").mkdir()
    with launch(GALLERY=str(launch.directory / "empty")) as run:
        assert "copy pictures there and run make run again" in run.output()
        assert "flask gallery index" in requests.get(f"{launch.address}/gallery", timeout=5).text


def test_redis_is_restarted_when_it_dies(launch: Launch) -> None:
    with launch() as run:
        dead = commands(run.descendants())["redis-server"]
        os.kill(dead, signal.SIGKILL)
        eventually(lambda: commands(run.descendants()).get("redis-server", dead) != dead)
        eventually(lambda: searchers(launch.redis_url) >= 1)


@pytest.mark.parametrize("name", ["wsgi.py", "-m worker"])
def test_a_killed_process_is_revived_and_searches_end(launch: Launch, name: str) -> None:
    with launch() as run, requests.Session() as visitor:
        dead = commands(run.descendants())[name]
        searches = [submit(visitor, launch.address, picture(number)) for number in range(4)]
        os.kill(dead, signal.SIGKILL)
        eventually(lambda: f"{'web' if name == 'wsgi.py' else 'worker'} ended with status -9" in run.output())
        eventually(lambda: commands(run.descendants()).get(name, dead) != dead)
        eventually(lambda: answers(launch.address))
        searches.append(submit(visitor, launch.address, picture(5)))
        for search in searches:
            eventually(
                lambda url=search: visitor.get(f"{url}/status", timeout=5).json()["status"] == "done", 60.0
            )
        run.signal(signal.SIGINT)
        assert run.wait() == 0


def test_all_processes_end_when_the_launcher_is_killed(launch: Launch) -> None:
    with launch() as run:
        family = run.descendants()
        client = redis.Redis.from_url(launch.redis_url)
        client.set("kept", "yes")
        client.close()
        run.signal(signal.SIGKILL)
        eventually(lambda: not [pid for pid in family if alive(pid)])
    with launch():
        client = redis.Redis.from_url(launch.redis_url)
        assert client.get("kept") == b"yes"
        client.close()


def test_a_process_that_outlives_its_launcher_keeps_the_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load_settings({"DATA_DIR": str(tmp_path)})
    program = """
import subprocess, sys
from config import load_settings
from scripts import preparation
lock = preparation.lock(load_settings(), 0.0)
nothing = subprocess.DEVNULL
print(subprocess.Popen(["sleep", "60"], pass_fds=[lock], stdout=nothing, stderr=nothing).pid)
"""
    environ = {**os.environ, "DATA_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environ, capture_output=True, text=True, check=True
    )
    survivor = int(done.stdout)
    try:
        with pytest.raises(preparation.StartError, match="processes of an earlier make run still use"):
            preparation.lock(settings, 0.0)
    finally:
        os.kill(survivor, signal.SIGKILL)
    os.close(preparation.lock(settings, 10.0))


def test_the_redis_of_redis_url_is_used_and_not_stopped(launch: Launch) -> None:
    with redis_server() as server:
        with launch(REDIS_URL=server.url) as run:
            assert set(commands(run.descendants())) == {"wsgi.py", "-m worker"}
            run.signal(signal.SIGINT)
            assert run.wait() == 0
        assert server.alive()


def test_a_port_in_use_is_reported_before_anything_is_created(launch: Launch) -> None:
    with socket.create_server(("127.0.0.1", launch.port)):
        line = launch.refused()
    assert line == f"vitrine: Port {launch.port} is in use; choose another: PORT={launch.port + 1} make run"
    assert not list((launch.directory / "data").glob("*.db"))


@pytest.mark.parametrize(
    ("environ", "fix"),
    [
        ({"PORT": "eighty"}, "PORT is 'eighty'; it must be a whole number"),
        ({"GALLERY": "/nowhere"}, "GALLERY=/nowhere is not a folder"),
        ({"REDIS_URL": "unix:///nowhere.sock"}, "start it or unset REDIS_URL"),
        ({"MODEL_PATH": "/nowhere.safetensors"}, "check MODEL_PATH"),
        ({"DATABASE_URL": "sqlite:////nowhere/vitrine.db"}, "check DATABASE_URL"),
        ({"DATA_DIR": "/proc/nowhere"}, "DATA_DIR /proc/nowhere cannot be"),
    ],
)
def test_a_bad_setting_is_reported_in_one_line_with_its_fix(
    launch: Launch, environ: dict[str, str], fix: str
) -> None:
    assert fix in launch.refused(**environ)


def test_a_redis_that_may_evict_is_refused(launch: Launch) -> None:
    with redis_server("--maxmemory", "50mb", "--maxmemory-policy", "allkeys-lru") as server:
        assert "CONFIG SET maxmemory-policy noeviction" in launch.refused(REDIS_URL=server.url)


def test_a_disk_that_is_nearly_full_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = load_settings({"DATA_DIR": str(tmp_path)})
    monkeypatch.setattr("shutil.disk_usage", lambda path: _Usage(10**12, 10**12 - 10**6, 10**6))
    with pytest.raises(
        preparation.StartError, match=r"has 0 MB free, and 300 are needed.*DATA_DIR=/path make run"
    ):
        preparation.check_disk(settings)


class _Usage(NamedTuple):
    total: int
    used: int
    free: int
