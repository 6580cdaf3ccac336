"""Limits on a search, tested in separate processes."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys

import pytest
from rq.timeouts import HorseMonitorTimeoutException, JobTimeoutException

from tests.support.gate import Gate
from tests.support.installation import Installation
from tests.support.servers import ROOT
from worker.limits import Deadline, Overrun, pin_threads

GATED = ("-m", "tests.support.gated_worker")


def run(program: str) -> object:
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def test_row_19_each_worker_uses_its_share_of_the_cores() -> None:
    program = """
import json, os, numpy, scipy.linalg, threadpoolctl
from worker.limits import pin_threads
cores = len(os.sched_getaffinity(0))
counts = []
for workers in (1, cores, 4 * cores):
    threads = pin_threads(workers)
    found = {pool["num_threads"] for pool in threadpoolctl.threadpool_info()}
    counts.append((threads, found == {threads}))
print(json.dumps([cores, counts]))
"""
    cores, counts = run(program)
    assert counts == [[cores, True], [1, True], [1, True]]


def test_a_worker_has_at_least_one_thread() -> None:
    assert pin_threads(10_000) == 1


def test_a_job_cannot_allocate_more_than_its_memory() -> None:
    program = """
import json, mmap, resource
import numpy as np
from worker.limits import JOB_MEMORY, limit_job
limit_job()
mapped = mmap.mmap(-1, 4 * JOB_MEMORY)
kept = np.ones(JOB_MEMORY // 2, np.uint8)
try:
    np.ones(JOB_MEMORY, np.uint8)
except MemoryError:
    refused = True
else:
    refused = False
soft = [resource.getrlimit(kind)[0] for kind in (resource.RLIMIT_NOFILE, resource.RLIMIT_CORE)]
print(json.dumps([refused, *soft]))
"""
    assert run(program) == [True, 256, 0]


def test_a_search_that_exhausts_its_memory_fails_alone(installation: Installation, gate: Gate) -> None:
    search_id = installation.submit()
    with installation.worker(*GATED, **gate.environ, HANG="memory") as worker:
        row = installation.ended(search_id)
        assert worker.alive()
    assert (row.status, row.error_code) == ("failed", "out_of_memory")


def test_except_exception_does_not_swallow_an_overrun() -> None:
    assert not issubclass(Overrun, Exception)
    with pytest.raises(Overrun):
        spin(JobTimeoutException)
    with pytest.raises(HorseMonitorTimeoutException):
        spin(HorseMonitorTimeoutException)


def spin(exception: type[Exception]) -> None:
    with Deadline(1, exception):
        while True:
            with contextlib.suppress(ArithmeticError):
                _ = 1 / 0
