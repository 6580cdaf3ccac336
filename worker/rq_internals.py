"""The undocumented names of RQ that Vitrine overrides or uses, in one place.

RQ documents how to enqueue jobs and run a worker; it promises nothing about the methods behind them.
`worker.searcher`, `worker.guard`, `worker.limits` and `app.queue` rely on those named here. The tests compare
the tables with the installed RQ, so that an upgrade that renames a method, or passes other arguments, fails
there and not in production.

`OVERRIDDEN` lists the methods and attributes that our subclasses replace and RQ calls, with RQ's parameters.
`USED` lists what our code calls or reads. `KEYS` lists keys and fields in Redis that are read directly.
"""

from __future__ import annotations

from rq import Worker, worker_registration
from rq.intermediate_queue import IntermediateQueue
from rq.job import Job
from rq.queue import Queue
from rq.registry import StartedJobRegistry
from rq.timeouts import UnixSignalDeathPenalty

ATTRIBUTE = None
"""In place of parameters: a class attribute or a property."""

Members = dict[str, tuple[str, ...] | None]

OVERRIDDEN: dict[type, Members] = {
    Worker: {
        "job_class": ATTRIBUTE,
        "queue_class": ATTRIBUTE,
        "death_penalty_class": ATTRIBUTE,
        "max_connection_wait_time": ATTRIBUTE,
        "log_result_lifespan": ATTRIBUTE,
        "dequeue_timeout": ATTRIBUTE,
        "connection_timeout": ATTRIBUTE,
        "get_heartbeat_ttl": ("job", "working_time"),
        "subscribe": (),
        "set_shutdown_requested_date": (),
        "run_maintenance_tasks": (),
        "execute_job": ("job", "queue"),
        "fork_work_horse": ("job", "queue"),
        "setup_work_horse_signals": (),
        "perform_job": ("job", "queue", "execution"),
        "prepare_job_execution": ("job", "remove_from_intermediate_queue"),
        "maintain_heartbeats": ("job", "execution"),
        "handle_job_success": ("job", "queue", "started_job_registry", "execution"),
        "handle_job_failure": ("job", "queue", "started_job_registry", "exc_string", "execution"),
        "handle_exception": ("job", "*exc_info"),
        "request_force_stop": ("signum", "frame"),
    },
    Job: {
        "restore": ("raw_data",),
        "_execute": (),
    },
    Queue: {
        "job_class": ATTRIBUTE,
        "dequeue_any": (
            *("queues", "timeout", "connection", "job_class", "serializer", "death_penalty_class"),
        ),
    },
    UnixSignalDeathPenalty: {},
}

USED: dict[object, Members] = {
    Worker: {
        "horse_pid": ATTRIBUTE,
        "kill_horse": ("sig",),
        "wait_for_horse": (),
        "cleanup_execution": ("job", "pipeline", "execution"),
    },
    Job: {
        "key": ATTRIBUTE,
        "key_for": ("job_id",),
        "execution_registry": ATTRIBUTE,
        "func_name": ATTRIBUTE,
        "instance": ATTRIBUTE,
        "args": ATTRIBUTE,
        "kwargs": ATTRIBUTE,
    },
    Queue: {
        "key": ATTRIBUTE,
        "count": ATTRIBUTE,
        "started_job_registry": ATTRIBUTE,
        "get_job_ids": ("offset", "length"),
    },
    StartedJobRegistry: {
        "get_job_ids": ("start", "end", "desc", "cleanup"),
        "get_expired_job_ids": ("timestamp",),
    },
    IntermediateQueue: {"__init__": ("queue_key", "connection")},
    UnixSignalDeathPenalty: {"__init__": ("timeout", "exception", "**kwargs")},
    worker_registration: {
        "get_keys": ("queue", "connection"),
        "clean_worker_registry": ("queue",),
    },
}

KEYS = {
    "jobs taken from the queue and not begun": "rq:queue:{queue}:intermediate",
    "jobs being executed, as members `job:execution`, scored by the time of expiry": "rq:wip:{queue}",
    "workers of a queue": "rq:workers:{queue}",
}
