"""Bounds on what one search may take of the machine: time, memory, files, cores."""

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

# The largest picture let in (40 MP) takes 512 MB at worst, with the copies that orientation, alpha and RGB
# need; activations and BLAS buffers of the largest ViT at 518 x 518 stay under 600 MB.
JOB_MEMORY = 1536 << 20
JOB_FILES = 256
# Under memory pressure the kernel shall end one search, which is retried, and not the supervisor.
_OOM_SCORE = "500"


class Overrun(BaseException):
    """The search took longer than `JOB_TIMEOUT`; no ``except Exception`` on its way can swallow this."""


class Deadline(UnixSignalDeathPenalty):
    """RQ's alarm clock, with `Overrun` in the place of RQ's own timeout, which is an ordinary Exception."""

    def __init__(self, timeout: int, exception: type[BaseException], **options: Any) -> None:
        wanted = Overrun if exception is JobTimeoutException else exception
        super().__init__(timeout, wanted, **options)  # type: ignore[no-untyped-call]


def pin_threads(workers: int) -> int:
    """Divide the cores among the workers: limit this process's BLAS threads, and those of its later children.

    Returns
    -------
    int
        Threads that each worker has.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = max(1, cores // workers)
    threadpool_limits(threads)
    return threads


def limit_job(memory: int = JOB_MEMORY) -> None:
    """Bound the calling process, which carries out one search; a limit that is stricter already stays.

    Mapped weights and index count for nothing under RLIMIT_DATA (as they would under RLIMIT_AS), and what the
    parent had allocated before the fork is added, so that `memory` bytes are the search's own.
    """
    _lower(resource.RLIMIT_NOFILE, JOB_FILES)
    _lower(resource.RLIMIT_CORE, 0)
    if sys.platform == "linux":
        _lower(resource.RLIMIT_DATA, _allocated() + memory)
        with contextlib.suppress(OSError):  # some containers forbid it
            Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE)


def _lower(kind: int, wanted: int) -> None:
    soft, hard = resource.getrlimit(kind)
    if soft == resource.RLIM_INFINITY or wanted < soft:
        resource.setrlimit(kind, (wanted, hard))


def _allocated() -> int:
    """Private writable memory of this process, in bytes."""
    found = re.search(r"^VmData:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    return int(found[1]) << 10 if found else 0
