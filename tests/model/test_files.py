"""Files replaced in one step, their checksums, and their locks."""

from __future__ import annotations

import errno
import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from config import ROOT
from model.files import replacing, sha256_file, sync_folder, try_lock

OLD, NEW = b"the older file", b"the newer file"
HOLD = (
    "from model.files import try_lock; file = open({0!r}, 'ab'); print(try_lock(file), flush=True); input()"
)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    path = tmp_path / "file.bin"
    path.write_bytes(OLD)
    return path


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record each sync of a ``file`` or a ``folder`` and each ``rename``, in order."""
    events: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def watched_fsync(descriptor: int) -> None:
        fsync(descriptor)
        events.append("folder" if Path(f"/proc/self/fd/{descriptor}").is_dir() else "file")

    def watched_replace(self: Path, other: Path) -> Path:
        events.append("rename")
        return replace(self, other)

    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(Path, "replace", watched_replace)
    return events


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Start another process that holds the lock of ``tmp_path / "lock"``."""
    code = HOLD.format(str(tmp_path / "lock"))
    command = [sys.executable, "-c", code]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "True\n"
        yield process
        process.kill()


def write_and_fail(file: IO[bytes], error: BaseException) -> None:
    file.write(NEW)
    raise error


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_shows_its_new_bytes_only_when_it_is_complete(target: Path) -> None:
    with replacing(target) as file:
        file.write(NEW)
        file.flush()
        assert target.read_bytes() == OLD
    assert target.read_bytes() == NEW
    assert names(target.parent) == ["file.bin"]


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), KeyboardInterrupt()])
def test_an_error_while_writing_leaves_the_older_file(target: Path, error: BaseException) -> None:
    with pytest.raises(type(error)), replacing(target) as file:
        write_and_fail(file, error)
    assert target.read_bytes() == OLD
    assert names(target.parent) == ["file.bin"]


def test_an_error_at_the_rename_leaves_the_older_file(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(IsADirectoryError), replacing(folder) as file:
        file.write(NEW)
    assert names(tmp_path) == ["folder"]


def test_an_error_at_the_sync_leaves_the_older_file(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="full"), replacing(target, sync=True) as file:
        file.write(NEW)
    assert target.read_bytes() == OLD
    assert names(target.parent) == ["file.bin"]


def test_a_missing_folder_is_the_error_that_is_seen(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "missing" / "file.bin"):
        pass


def test_a_kill_between_write_and_rename_leaves_the_older_file(target: Path) -> None:
    code = (
        "import os, signal; from pathlib import Path; from model.files import replacing\n"
        f"with replacing(Path({str(target)!r}), draft=Path({str(target) + '.next'!r}), sync=True) as file:\n"
        f"    file.write({NEW!r}); file.flush(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    assert target.read_bytes() == OLD
    assert names(target.parent) == ["file.bin", "file.bin.next"]
    with replacing(target, draft=target.with_name("file.bin.next")) as file:
        file.write(b"new")
    assert target.read_bytes() == b"new"
    assert names(target.parent) == ["file.bin"]


def test_two_writers_of_one_file_do_not_mix(target: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from model.files import replacing\n"
        "for _ in range(50):\n"
        f"    with replacing(Path({str(target)!r})) as file:\n"
        "        file.write(sys.argv[1].encode() * 100_000)"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, letter], cwd=ROOT) for letter in "ab"]
    while any(writer.poll() is None for writer in writers):
        time.sleep(0.002)
        assert len(set(target.read_bytes()) - set(OLD)) <= 1
    assert [writer.wait() for writer in writers] == [0, 0]
    assert target.read_bytes() in (b"a" * 100_000, b"b" * 100_000)
    assert names(target.parent) == ["file.bin"]


@pytest.mark.parametrize(
    ("sync", "sync_name", "expected"),
    [
        (False, False, ["rename"]),
        (True, False, ["file", "rename"]),
        (True, True, ["file", "rename", "folder"]),
    ],
)
def test_bytes_reach_the_disk_before_the_rename_and_the_name_after_it(
    target: Path, synced: list[str], *, sync: bool, sync_name: bool, expected: list[str]
) -> None:
    with replacing(target, sync=sync, sync_name=sync_name) as file:
        file.write(NEW)
    assert synced == expected


def test_a_folder_that_cannot_be_synced_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        sync_folder(tmp_path / "missing")


@pytest.mark.parametrize("size", [0, 1, 300_000])
def test_the_checksum_is_that_of_all_bytes(tmp_path: Path, size: int) -> None:
    data = bytes(index % 251 for index in range(size))
    (tmp_path / "file").write_bytes(data)
    assert sha256_file(tmp_path / "file") == hashlib.sha256(data).hexdigest()


def test_another_process_is_locked_out(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    with (tmp_path / "lock").open("ab") as file:
        assert not try_lock(file)
        assert not try_lock(file, shared=True)


def test_a_killed_process_gives_its_lock_back(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    holder.kill()
    holder.wait()
    with (tmp_path / "lock").open("ab") as file:
        assert try_lock(file)


def test_two_opens_in_one_process_exclude_each_other(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("ab") as first, (tmp_path / "lock").open("ab") as second:
        assert try_lock(first)
        assert not try_lock(second)
        first.close()
        assert try_lock(second)


def test_shared_locks_of_a_folder_keep_the_exclusive_one_out(tmp_path: Path) -> None:
    readers = [os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY) for _ in range(2)]
    writer = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        assert all(try_lock(reader, shared=True) for reader in readers)
        assert not try_lock(writer)
    finally:
        for reader in readers:
            os.close(reader)
    assert try_lock(writer)
    os.close(writer)


def test_a_closed_descriptor_is_an_error_and_not_a_busy_lock(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    os.close(descriptor)
    with pytest.raises(OSError, match="Bad file descriptor"):
        try_lock(descriptor)
