"""Bounds on the time, memory, files and cores that one search may use."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import sys
from pathlib import Path
from typing import Any

from rq.timeouts import JobTimeoutException, UnixSignalDeathPenalty
from threadpoolctl import threadpool_limits

# The largest accepted picture (40 MP) takes at most 512 MB, including the copies for orientation, alpha and
# RGB; activations and BLAS buffers of the largest ViT at 518 x 518 stay under 600 MB.
JOB_MEMORY = 1536 << 20
JOB_FILES = 256
# Under memory pressure, let the kernel end one search, which is retried, rather than the supervisor.
_OOM_SCORE = "500"


class Overrun(BaseException):
    """The search exceeded `JOB_TIMEOUT`; a BaseException, so that no ``except Exception`` swallows it."""


class Deadline(UnixSignalDeathPenalty):
    """RQ's timeout by SIGALRM, which raises `Overrun` in place of RQ's exception, an ordinary Exception."""

    def __init__(self, timeout: int, exception: type[BaseException], **options: Any) -> None:
        raised = Overrun if exception is JobTimeoutException else exception
        super().__init__(timeout, raised, **options)  # type: ignore[no-untyped-call]


def pin_threads(workers: int) -> int:
    """Divide the cores among the workers by limiting the BLAS threads of this process and its children.

    Returns
    -------
    int
        Threads of each worker.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = max(1, cores // workers)
    threadpool_limits(threads)
    return threads


def limit_job(memory: int = JOB_MEMORY) -> None:
    """Bound the calling process, which carries out one search; limits that are already stricter are kept.

    RLIMIT_DATA, unlike RLIMIT_AS, does not count the mapped weights and index. Memory that the parent
    allocated before the fork is added, so that `memory` bytes remain for the search.
    """
    _lower(resource.RLIMIT_NOFILE, JOB_FILES)
    _lower(resource.RLIMIT_CORE, 0)
    if sys.platform == "linux":
        _lower(resource.RLIMIT_DATA, _allocated() + memory)
        with contextlib.suppress(OSError):  # not permitted in some containers
            Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE)


def _lower(kind: int, limit: int) -> None:
    soft, hard = resource.getrlimit(kind)
    if soft == resource.RLIM_INFINITY or limit < soft:
        resource.setrlimit(kind, (limit, hard))


def _allocated() -> int:
    """Return the private writable memory of this process in bytes."""
    found = re.search(r"^VmData:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    return int(found[1]) << 10 if found else 0
