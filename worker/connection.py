"""The worker's connection to Redis."""

from __future__ import annotations

from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry


def connect(redis_url: str) -> Redis:
    """Return a client with short timeouts and no retries, so that the caller learns of failures at once."""
    return Redis.from_url(
        redis_url, socket_connect_timeout=2.0, socket_timeout=2.0, retry=Retry(NoBackoff(), 0)
    )
