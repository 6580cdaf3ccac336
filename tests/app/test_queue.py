"""The queue against a real Redis: one job per search, and no waiting for an unavailable Redis."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator

import pytest
from flask import Flask
from redis.exceptions import RedisError
from rq.job import Job
from rq.serializers import JSONSerializer

from app import queue
from tests.support.servers import RedisUnderTest, redis_server

pytestmark = pytest.mark.usefixtures("context")


@pytest.fixture(scope="module")
def server() -> Iterator[RedisUnderTest]:
    with redis_server() as running:
        yield running


@pytest.fixture
def redis(server: RedisUnderTest) -> RedisUnderTest:
    if not server.alive():
        server.start()
    client = server.client()
    client.flushall()
    client.close()
    return server


@pytest.fixture
def redis_url(redis: RedisUnderTest) -> str:
    return redis.url


def job(search_id: uuid.UUID) -> Job:
    return Job.fetch(str(search_id), connection=queue.connection(), serializer=JSONSerializer)


def test_a_job_contains_only_the_id_of_its_search() -> None:
    search_id = uuid.uuid4()
    assert queue.enqueue(search_id)
    found = job(search_id)
    assert (found.func_name, list(found.args), found.kwargs) == (queue.JOB, [str(search_id)], {})
    assert (found.timeout, found.result_ttl) == (60, 0)
    assert queue.depth() == 1


def test_a_search_is_enqueued_once() -> None:
    search_id = uuid.uuid4()
    assert [queue.enqueue(search_id) for _ in range(3)] == [True] * 3
    assert queue.depth() == 1


def test_a_running_job_is_not_enqueued_again() -> None:
    search_id = uuid.uuid4()
    queue.enqueue(search_id)
    connection = queue.connection()
    connection.delete(f"rq:queue:{queue.QUEUE_NAME}")
    connection.zadd(f"rq:wip:{queue.QUEUE_NAME}", {f"{search_id}:execution": time.time() + 60})
    assert queue.enqueue(search_id)
    assert (queue.depth(), queue.live_job_ids()) == (0, {str(search_id)})


@pytest.mark.parametrize("left", ["only its hash", "a lapsed execution", "garbage"])
def test_remains_of_a_dead_worker_do_not_prevent_enqueuing(left: str) -> None:
    search_id = uuid.uuid4()
    queue.enqueue(search_id)
    connection = queue.connection()
    connection.delete(f"rq:queue:{queue.QUEUE_NAME}")
    if left == "a lapsed execution":
        connection.zadd(f"rq:wip:{queue.QUEUE_NAME}", {f"{search_id}:execution": time.time() - 1})
    if left == "garbage":
        connection.hset(f"rq:job:{search_id}", "created_at", "yesterday")
    assert queue.live_job_ids() == set()
    assert queue.enqueue(search_id)
    assert queue.live_job_ids() == {str(search_id)}
    assert job(search_id).func_name == queue.JOB


def test_a_job_taken_but_not_begun_is_not_live() -> None:
    search_id = uuid.uuid4()
    queue.enqueue(search_id)
    keys = f"rq:queue:{queue.QUEUE_NAME}", f"rq:queue:{queue.QUEUE_NAME}:intermediate"
    queue.connection().lmove(*keys)
    assert queue.live_job_ids() == set()


def test_a_dead_redis_raises_no_error(redis: RedisUnderTest) -> None:
    redis.kill()
    assert (queue.enqueue(uuid.uuid4()), queue.depth(), queue.ping()) == (False, None, False)
    with pytest.raises(RedisError):
        queue.live_job_ids()


def test_a_restarted_redis_is_used_again(redis: RedisUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "PAUSE", 0.0)
    redis.kill()
    assert not queue.ping()
    redis.start()
    assert queue.ping()


def test_after_a_failure_redis_is_not_asked_for_a_moment(redis: RedisUnderTest) -> None:
    redis.kill()
    assert not queue.ping()
    redis.start()
    assert not queue.ping()


def test_a_full_redis_raises_no_error() -> None:
    connection = queue.connection()
    connection.config_set("maxmemory", "1mb")
    try:
        assert not queue.enqueue(uuid.uuid4())
    finally:
        connection.config_set("maxmemory", "0")


def test_an_application_starts_without_redis(app: Flask, redis: RedisUnderTest) -> None:
    redis.kill()
    assert app.test_client().get("/healthz").status_code == 200
