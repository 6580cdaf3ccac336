"""Check of a Redis server's eviction policy: a server that evicts keys may lose jobs."""

from __future__ import annotations

from redis import Redis
from redis.exceptions import ResponseError


def eviction_problem(client: Redis) -> str | None:
    """Return why this Redis may drop jobs, and the command that fixes it; None if it keeps them.

    Raises
    ------
    redis.exceptions.RedisError
        Redis is unavailable.
    """
    try:
        found = client.config_get("maxmemory*")
    except ResponseError:
        return None  # hosted services forbid CONFIG; the reconciler enqueues again what they drop
    policy, limit = found.get("maxmemory-policy"), found.get("maxmemory")
    if policy == "noeviction" or limit == "0":
        return None
    fix = "redis-cli CONFIG SET maxmemory-policy noeviction"
    return f"Redis may drop jobs (maxmemory-policy is {policy}); to fix this, run: {fix}"
