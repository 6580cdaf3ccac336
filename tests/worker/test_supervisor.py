from __future__ import annotations

import os
import signal

from config import BUNDLED_WEIGHTS
from gallery.generations import names
from gallery.indexing import build
from model import load_encoder
from tests.support.drawings import PICTURES, drawing, picture
from tests.support.gate import Gate
from tests.support.installation import Installation
from tests.support.servers import alive
from tests.support.waiting import eventually

GATED = ("-m", "tests.support.gated_worker")


def test_a_search_uses_the_newest_index_at_its_start(installation: Installation) -> None:
    pictures, settings = installation.directory / "pictures", installation.settings
    encoder = load_encoder(BUNDLED_WEIGHTS)
    with installation.worker():
        assert installation.ended(installation.submit(picture(5))).searched == PICTURES
        for number in range(3):
            drawing(40 + number).save(pictures / f"new-{number}.png")
            thumbnails = settings.thumbnails_dir
            build(pictures, settings.index_dir, encoder, thumbnails_dir=thumbnails, replace=True)
            assert installation.ended(installation.submit(picture(5))).searched == PICTURES + number + 1
        assert len(names(settings.index_dir)) == 2  # no process has the older ones open


def test_processes_that_die_are_restarted(installation: Installation) -> None:
    with installation.worker(workers=2) as worker:
        before = worker.family() - {worker.popen.pid}
        assert len(before) == 3
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        eventually(lambda: len(worker.family() - before) == 4)
        assert installation.ended(installation.submit(enqueue=False)).status == "done"


def test_searchers_stop_when_their_supervisor_is_killed(installation: Installation) -> None:
    with installation.worker(workers=2) as worker:
        worker.signal(signal.SIGKILL)
        eventually(lambda: not worker.family())


def test_a_second_signal_stops_at_once_and_the_search_returns_to_the_queue(
    installation: Installation, gate: Gate
) -> None:
    search_id = installation.submit()
    with installation.worker(*GATED, **gate.environ) as worker:
        child = gate.arrival()
        worker.signal(signal.SIGINT)
        eventually(lambda: len(worker.family()) == 3)
        worker.signal(signal.SIGINT)
        assert worker.wait() == 0
        assert not alive(child)
    row = installation.row(search_id)
    assert row is not None
    assert (row.status, row.attempt) == ("queued", 1)


def test_an_unavailable_redis_is_awaited_and_logged_once(installation: Installation) -> None:
    installation.redis.stop()
    search_id = installation.submit(enqueue=False)
    log = installation.directory / "worker.log"
    waiting = lambda: log.exists() and "waiting for it" in log.read_text()  # noqa: E731
    with installation.worker(ready=waiting) as worker:
        installation.redis.start()
        assert installation.ended(search_id).status == "done"
        assert worker.output().count("waiting for it") == 1


def test_an_invalid_setting_is_reported_in_one_line(installation: Installation) -> None:
    with installation.worker(workers=0) as worker:
        assert worker.wait() == 2
        assert worker.output() == "vitrine: WORKERS is '0'; it must be a whole number from 1 to 64.\n"
