"""Queue and worker (rows 1 to 14 and 17 to 19 of docs/reliability.md), with real processes and Redis."""

from __future__ import annotations

import os
import signal
import time
import uuid
from pathlib import Path

import pytest
from rq import Queue
from rq.job import Job
from rq.registry import StartedJobRegistry
from rq.serializers import JSONSerializer

from app.database import Owner
from app.queue import JOB, JOB_TTL, QUEUE_NAME
from app.searches.deletion import delete_searches
from tests.support.drawings import PICTURES, picture
from tests.support.gate import Gate
from tests.support.installation import VISITOR, Installation
from tests.support.servers import alive
from tests.support.waiting import eventually
from worker import attempts
from worker.reconciliation import reconcile

GATED = ("-m", "tests.support.gated_worker")


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_row_01_a_killed_job_is_retried_and_then_fails_honestly(
    installation: Installation, gate: Gate
) -> None:
    search_id = installation.submit()
    with installation.worker(*GATED, **gate.environ):
        killed: set[int] = set()
        for _ in range(3):
            child = gate.arrival(killed)
            os.kill(child, signal.SIGKILL)
            killed.add(child)
        row = installation.ended(search_id)
        gate.open()
        assert installation.ended(installation.submit()).status == "done"
    assert (row.status, row.error_code, row.attempt) == ("failed", "worker_lost", 3)


def test_row_02_row_03_a_search_whose_worker_dies_runs_again_within_15_seconds_and_once(
    installation: Installation, gate: Gate
) -> None:
    searches = [installation.submit(picture(number)) for number in (7, 8)]
    with installation.worker(*GATED, workers=2, **gate.environ) as worker:
        orphan = gate.arrival()
        child = gate.arrival({orphan})
        for pid in (parent_of(orphan), parent_of(child), child):
            os.kill(pid, signal.SIGKILL)
        died = time.monotonic()
        again = gate.arrival({orphan, child})
        gate.arrival({orphan, child, again})
        assert alive(orphan)
        gate.let_pass(orphan)  # it ends while another attempt has the search
        eventually(lambda: not alive(orphan))
        running = [installation.row(search_id) for search_id in searches]
        assert [(row.status, row.attempt) for row in running if row] == [("running", 2)] * 2
        gate.open()
        rows = [installation.ended(search_id, 15.0 - (time.monotonic() - died)) for search_id in searches]
    assert [(row.status, row.attempt) for row in rows] == [("done", 2)] * 2
    assert worker.output().count('"done": true') == 2
    assert [installation.results(search_id)[0] for search_id in searches] == ["07.png", "08.png"]


def test_row_03_a_search_that_takes_long_keeps_its_lease(installation: Installation, gate: Gate) -> None:
    search_id = installation.submit()
    with installation.worker(*GATED, **gate.environ, LEASE="2"):
        gate.arrival()
        time.sleep(5.0)  # more than twice the lease
        gate.open()
        row = installation.ended(search_id)
    assert (row.status, row.attempt) == ("done", 1)


def test_row_04_a_search_lost_between_queue_and_worker_is_enqueued_again(installation: Installation) -> None:
    search_id = installation.submit()
    with installation.redis.client() as client:
        queue = Queue(QUEUE_NAME, connection=client)
        client.lmove(queue.key, queue.intermediate_queue_key)
        with installation.worker():
            assert installation.ended(search_id).status == "done"
            eventually(lambda: client.llen(queue.intermediate_queue_key) == 0)


def test_row_05_a_search_that_has_ended_never_changes(installation: Installation) -> None:
    search_id = installation.submit()
    with installation.worker():
        assert installation.ended(search_id).status == "done"
    with installation.redis.client() as client, installation.app.app_context():
        abandoned = Job.create(
            JOB, (str(search_id),), id=str(search_id), connection=client, serializer=JSONSerializer
        )
        abandoned.origin = QUEUE_NAME
        abandoned.set_status("started")
        abandoned.save()
        client.zadd(f"rq:wip:{QUEUE_NAME}", {f"{search_id}:late": 1})
        StartedJobRegistry(QUEUE_NAME, connection=client, serializer=JSONSerializer).cleanup()
        late = attempts.Attempt(search_id, 1, 10.0)
        assert not attempts.fail(late, "worker_lost")
        assert not attempts.retry_later(late)
        assert not attempts.renew(late)
        assert search_id not in reconcile(set()).enqueue
    row = installation.row(search_id)
    assert row is not None
    assert (row.status, row.error_code) == ("done", None)


def test_row_07_a_hung_redis_neither_stops_nor_repeats_the_running_search(
    installation: Installation, gate: Gate
) -> None:
    search_id = installation.submit()
    with installation.worker(*GATED, **gate.environ) as worker:
        gate.arrival()
        installation.redis.pause()
        gate.open()
        row = installation.ended(search_id)
        installation.redis.resume()
        assert installation.ended(installation.submit()).status == "done"
    assert (row.status, row.attempt) == ("done", 1)
    assert worker.output().count('"done": true') == 2


def test_row_08_redis_killed_during_a_search_loses_no_result(installation: Installation, gate: Gate) -> None:
    search_id = installation.submit()
    with installation.worker(*GATED, **gate.environ) as worker:
        gate.arrival()
        installation.redis.kill()
        gate.open()
        assert installation.ended(search_id).status == "done"
        installation.redis.restart()
        assert installation.ended(installation.submit()).status == "done"
        assert worker.alive()


def test_row_09_a_queue_that_comes_back_empty_is_rebuilt(installation: Installation, gate: Gate) -> None:
    searches = [installation.submit(picture(number)) for number in range(4)]
    with installation.worker(*GATED, **gate.environ):
        gate.arrival()
        installation.redis.restart(empty=True)
        gate.open()
        rows = [installation.ended(search_id) for search_id in searches]
    assert [(row.status, row.attempt) for row in rows] == [("done", 1)] * 4


@pytest.mark.parametrize("redis_options", [("--maxmemory", "50mb", "--maxmemory-policy", "allkeys-lru")])
def test_row_10_a_redis_that_may_evict_is_refused(installation: Installation) -> None:
    with installation.worker() as worker:
        assert worker.wait() == 1
    assert "redis-cli CONFIG SET maxmemory-policy noeviction" in worker.output()


@pytest.mark.parametrize("redis_options", [("--maxmemory", "3mb")])
def test_row_11_a_full_redis_delays_a_search_and_loses_none(installation: Installation) -> None:
    with installation.redis.client() as client, installation.worker() as worker:
        client.config_set("maxmemory", 1)
        search_id = installation.submit(enqueue=False)
        eventually(lambda: "redis is not available" in worker.output())
        client.config_set("maxmemory", 0)
        assert installation.ended(search_id).status == "done"


def test_row_11_the_job_of_a_search_done_while_redis_refused_writes_expires(
    installation: Installation, gate: Gate
) -> None:
    search_id = installation.submit()
    key = Job.key_for(str(search_id))
    with installation.redis.client() as client, installation.worker(*GATED, **gate.environ):
        gate.arrival()
        client.config_set("maxmemory", 1)
        gate.open()
        assert installation.ended(search_id).status == "done"
        assert 0 < client.ttl(key) <= JOB_TTL


def test_row_12_garbage_in_a_job_is_quarantined_and_the_worker_survives(installation: Installation) -> None:
    searches = [installation.submit(picture(number)) for number in range(4)]
    keys = [Job.key_for(str(search_id)) for search_id in searches]
    with installation.redis.client() as client:
        client.hset(keys[0], "created_at", "the day before yesterday")
        client.hset(keys[1], "data", b"\xff\xfe no json")
        client.hset(keys[2], "timeout", "soon")
        client.delete(keys[3])
        client.set(keys[3], "not a hash")
        client.rpush(f"rq:queue:{QUEUE_NAME}", b"\xff\xfe no id", "no uuid")
        with installation.worker():
            before = installation.searchers()
            assert [installation.ended(search_id).status for search_id in searches] == ["done"] * 4
            assert installation.searchers() == before
            eventually(lambda: client.llen(f"rq:queue:{QUEUE_NAME}:intermediate") == 0)
        assert {
            key.decode().removeprefix("vitrine:quarantine:") for key in client.keys("vitrine:quarantine:*")
        } == {str(search_id) for search_id in searches}


def test_row_13_only_the_projects_own_job_runs(installation: Installation, tmp_path: Path) -> None:
    marker = tmp_path / "run"
    command = f"touch {marker}"
    own, also = str(uuid.uuid4()), str(uuid.uuid4())
    with installation.redis.client() as client:
        hostile = Queue(QUEUE_NAME, connection=client, serializer=JSONSerializer)
        hostile.enqueue_call("os.system", (command,), job_id=str(uuid.uuid4()))
        hostile.enqueue_call("os.system", (own,), job_id=own)
        hostile.enqueue_call(JOB, (command,), job_id=str(uuid.uuid4()))
        hostile.enqueue_call(JOB, kwargs={"search_id": "x"}, job_id=str(uuid.uuid4()))
        late = hostile.enqueue_call(JOB, (also,), job_id=also)
        client.hset(late.key, "failure_callback_name", "os.system")
        pickled = Queue(QUEUE_NAME, connection=client)
        pickled.enqueue_call(os.system, (command,), job_id=str(uuid.uuid4()))
        with installation.worker():
            before = installation.searchers()
            assert installation.ended(installation.submit()).status == "done"
            assert installation.searchers() == before
        assert len(client.keys("vitrine:quarantine:*")) == 6
    assert not marker.exists()


@pytest.mark.parametrize("hang", ["swallow", "c"])
def test_row_14_a_search_that_overruns_is_stopped_and_says_so(
    installation: Installation, gate: Gate, hang: str
) -> None:
    search_id = installation.submit()
    with installation.worker(*GATED, **gate.environ, HANG=hang, JOB_TIMEOUT="1") as worker:
        child = gate.arrival()
        row = installation.ended(search_id)
        eventually(lambda: not alive(child))
    assert (row.status, row.error_code, row.attempt) == ("failed", "timeout", 1)
    assert ("search overran and is killed" in worker.output()) == (
        hang == "c"
    )  # Python code receives the alarm


def test_row_17_sigterm_lets_the_search_finish_and_leaves_nothing_behind(
    installation: Installation, gate: Gate
) -> None:
    search_id, waiting = installation.submit(), installation.submit()
    with installation.worker(*GATED, **gate.environ) as worker:
        gate.arrival()
        worker.signal(signal.SIGTERM)
        eventually(lambda: len(worker.family()) == 3)  # the reconciler has ended
        gate.open()
        assert worker.wait() == 0
        assert worker.family() == set()
    row, next_row = installation.row(search_id), installation.row(waiting)
    assert row is not None
    assert (row.status, row.attempt) == ("done", 1)
    assert next_row is not None
    assert next_row.status == "queued"


def test_row_18_a_search_deleted_while_it_runs_ends_cleanly(installation: Installation, gate: Gate) -> None:
    search_id = installation.submit()
    with installation.worker(*GATED, **gate.environ) as worker:
        child = gate.arrival()
        with installation.app.app_context():
            assert delete_searches(Owner(visitor=VISITOR), search_id) == 1
        gate.open()
        eventually(lambda: not alive(child))
        assert installation.ended(installation.submit()).status == "done"
    assert "trace" not in worker.output()
    assert len(list(installation.settings.uploads_dir.iterdir())) == 1  # the other search's preview


def test_row_19_sixty_forks_do_not_freeze(installation: Installation) -> None:
    searches = [installation.submit(picture(number % PICTURES)) for number in range(60)]
    with installation.worker(workers=2):
        rows = [installation.ended(search_id, 60.0) for search_id in searches]
    assert {row.status for row in rows} == {"done"}
    assert [installation.results(search_id)[0] for search_id in searches[:PICTURES]] == [
        f"{number:02}.png" for number in range(PICTURES)
    ]
