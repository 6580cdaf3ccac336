"""Indexers that are killed, compete or run out of disk space, as real processes (rows 20, 21 and 23)."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gallery import Store, build
from tests.support import index_process
from tests.support.checkpoints import write_tiny_checkpoint
from tests.support.galleries import make_gallery, tiny_encoder, write_picture

PROJECT = Path(__file__).resolve().parents[2]
# Without a fork server, most of the time would be spent on imports.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload([index_process.__name__])
PROGRAM = [sys.executable, "-m", "tests.support.index_process"]
KILLS = 100
SWAPS = 100


@dataclass
class Workspace:
    """A gallery of 48 pictures, weights, and the folder of its index."""

    directory: Path
    root: Path
    weights: Path

    @property
    def index(self) -> Path:
        return self.directory / "index"

    def indexer(self, *prefix: str, **options: Any) -> subprocess.Popen[str]:
        command = [*prefix, *PROGRAM, "index", self.weights, self.root, self.directory]
        return start(command, **options)

    def run(self, **options: Any) -> tuple[int, list[str], str]:
        with self.indexer(**options) as running:
            out, err = running.communicate(timeout=60)
        return running.returncode, out.split(), err


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    root = make_gallery(tmp_path / "pictures", 48)
    return Workspace(tmp_path, root, write_tiny_checkpoint(tmp_path / "tiny-0.safetensors"))


def start(command: list[Any], **options: Any) -> subprocess.Popen[str]:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, cwd=PROJECT, text=True, **(pipes | options))


def kill_an_indexer(workspace: Workspace, after: int, seconds: float) -> None:
    """Kill an indexer `seconds` after its picture number `after`."""
    told, telling = FORKS.Pipe(duplex=False)
    files = map(str, (workspace.weights, workspace.root, workspace.directory))
    running = FORKS.Process(target=index_process.index, args=(*files, telling.send))
    running.start()
    telling.close()
    with told, contextlib.suppress(EOFError):  # the indexer may end earlier
        for _ in range(after):
            told.recv()
        time.sleep(seconds)
    running.kill()
    running.join()
    running.close()


def test_row_23_a_killed_indexer_leaves_the_old_generation_and_the_next_run_resumes(
    workspace: Workspace,
) -> None:
    encoder = tiny_encoder(workspace.directory)
    first = build(workspace.root, workspace.index, encoder, thumbnails_dir=workspace.directory / "thumbnails")
    shutil.copytree(workspace.index, workspace.directory / "before")
    make_gallery(workspace.root / "more", 48, seed=1000)
    whole = build(
        workspace.root, workspace.directory / "whole", encoder, thumbnails_dir=workspace.directory / "t"
    )
    rng = random.Random(23)
    kills = 0
    while kills < KILLS:  # each time from the old generation to the new one
        for _ in range(rng.randrange(1, 6)):
            kill_an_indexer(workspace, after=rng.randrange(48, 97), seconds=rng.random() * 0.02)
            kills += 1
            with Store.open(workspace.index) as store:
                assert len(store) in (48, 96)
                assert (store.generation == first.generation) == (len(store) == 48)
        last = build(
            workspace.root, workspace.index, encoder, thumbnails_dir=workspace.directory / "thumbnails"
        )
        assert last.count == whole.count
        with Store.open(workspace.index) as resumed, Store.open(workspace.directory / "whole") as uncut:
            assert resumed.catalog.page(0, 96) == uncut.catalog.page(0, 96)
            np.testing.assert_allclose(resumed.features, uncut.features, atol=1e-6)
        shutil.rmtree(workspace.index)
        shutil.copytree(workspace.directory / "before", workspace.index)


def test_row_23_pictures_that_a_killed_indexer_encoded_are_not_encoded_again(workspace: Workspace) -> None:
    encoder = tiny_encoder(workspace.directory)
    kill_an_indexer(workspace, after=40, seconds=0.0)
    last = build(workspace.root, workspace.index, encoder, thumbnails_dir=workspace.directory / "thumbnails")
    assert last.count == 48
    assert last.indexed <= 48 - 40 + 8  # a few batches were not finished


def test_row_21_the_second_of_two_indexers_fails_with_a_message(workspace: Workspace) -> None:
    with workspace.indexer() as first:
        assert first.stdout is not None
        first.stdout.readline()
        first.send_signal(signal.SIGSTOP)
        code, done, error = workspace.run()
        first.send_signal(signal.SIGCONT)
        first.communicate(timeout=60)
    assert (code, done, first.returncode) == (1, [], 0)
    assert f"Another process (id {first.pid})" in error
    with Store.open(workspace.index) as store:
        assert len(store) == 48


def test_row_20_a_search_keeps_its_generation_over_a_hundred_swaps(workspace: Workspace) -> None:
    encoder = tiny_encoder(workspace.directory)
    options: dict[str, Any] = {"thumbnails_dir": workspace.directory / "thumbnails", "workers": 1}
    build(workspace.root, workspace.index, encoder, **options)
    command = [*PROGRAM, "search", workspace.directory]
    with start(command) as first, start(command) as second:
        for number in range(SWAPS):
            extra = write_picture(workspace.root / f"{number}.png", 2000 + number % 3)
            build(workspace.root, workspace.index, encoder, **options)
            if number % 2:
                extra.unlink()
        for searcher in (first, second):
            out, err = searcher.communicate(input="end\n", timeout=60)
            assert searcher.returncode == 0, err
            assert json.loads(out)["generations"] > 5
    assert len(list((workspace.index / "generations").iterdir())) <= 4


def test_row_23_a_file_that_grows_past_the_limit_is_a_clean_error(workspace: Workspace) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))

    code, _, error = workspace.run(preexec_fn=limit)
    assert code == 1
    assert error.startswith("Error: File too large while writing")
    assert error.count("\n") == 1
    assert not (workspace.index / "CURRENT").exists()
    assert workspace.run()[0] == 0


def write_noise(path: Path, rng: np.random.Generator) -> None:
    """Write a picture with a large thumbnail."""
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(rng.integers(0, 256, (240, 320, 3), np.uint8)).save(path)


STARVED = """
set -e
mount -t tmpfs -o size=1m none "$1/small"
index() { "$2" -m tests.support.index_process index "$1/tiny-0.safetensors" "$1/$3" "$1/small"; }
index "$1" "$2" pictures > /dev/null
before=$(cat "$1/small/index/CURRENT")
if index "$1" "$2" large > /dev/null; then exit 9; fi
test "$before" = "$(cat "$1/small/index/CURRENT")"
echo end | "$2" -m tests.support.index_process search "$1/small" > /dev/null
rm -r "$1/small/thumbnails"
index "$1" "$2" few | tail -n 1
"""


def test_row_23_a_full_disk_is_a_clean_error_and_the_old_generation_serves(workspace: Workspace) -> None:
    if subprocess.run(["unshare", "-rm", "true"], check=False, capture_output=True).returncode:
        pytest.skip("this user may not mount: sysctl -w kernel.unprivileged_userns_clone=1")
    (workspace.directory / "small").mkdir()
    rng = np.random.default_rng(0)
    for number in range(60):
        folder = workspace.directory / ("large", "few")[number % 20 == 0]
        write_noise(folder / f"{number}.png", rng)
    command = ["unshare", "-rm", "sh", "-c", STARVED, "sh", workspace.directory, sys.executable]
    done = subprocess.run(command, cwd=PROJECT, text=True, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "No space left on device" in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == "3\n"
