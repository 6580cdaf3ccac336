"""Whether a Redis may hold the queue."""

from __future__ import annotations

from redis import Redis
from redis.exceptions import ResponseError


def eviction_problem(client: Redis) -> str | None:
    """Return why this Redis may drop jobs, with the mending command, or None when it may not.

    Raises
    ------
    redis.exceptions.RedisError
        It cannot be asked.
    """
    try:
        found = client.config_get("maxmemory*")
    except ResponseError:
        return None  # hosting services forbid CONFIG; what is dropped there, the reconciler enqueues again
    policy, limit = found.get("maxmemory-policy"), found.get("maxmemory")
    if policy == "noeviction" or limit == "0":
        return None
    mend = "redis-cli CONFIG SET maxmemory-policy noeviction"
    return f"Redis may drop jobs (maxmemory-policy is {policy}); mend it with: {mend}"
