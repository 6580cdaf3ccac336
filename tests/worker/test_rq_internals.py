"""The installed RQ has every undocumented name that Vitrine relies on, with the same parameters."""

from __future__ import annotations

import inspect
from importlib.metadata import version

import pytest
from redis import Redis
from rq import Worker, worker_registration
from rq.intermediate_queue import IntermediateQueue
from rq.job import Job
from rq.queue import Queue
from rq.registry import StartedJobRegistry
from rq.timeouts import UnixSignalDeathPenalty

from worker.guard import SearchJob, SearchQueue
from worker.limits import Deadline
from worker.rq_internals import ATTRIBUTE, KEYS, OVERRIDDEN, USED
from worker.searcher import SearchWorker

SUBCLASSES = {Worker: SearchWorker, Job: SearchJob, Queue: SearchQueue, UnixSignalDeathPenalty: Deadline}
LISTED = [
    (owner, name, parameters)
    for table in (OVERRIDDEN, USED)
    for owner, members in table.items()
    for name, parameters in members.items()
]


def parameters_of(owner: object, name: str) -> tuple[str, ...]:
    marks = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    found = inspect.signature(getattr(owner, name)).parameters.values()
    return tuple(marks.get(each.kind, "") + each.name for each in found if each.name != "self")


@pytest.mark.parametrize(
    ("owner", "name", "parameters"), LISTED, ids=[f"{owner.__name__}.{name}" for owner, name, _ in LISTED]
)
def test_rq_has_the_name_with_these_parameters(
    owner: type, name: str, parameters: tuple[str, ...] | None
) -> None:
    if parameters is ATTRIBUTE:
        assert hasattr(owner, name) or name in vars(owner(*CONSTRUCTED[owner]))
    else:
        assert parameters_of(owner, name) == parameters


# Some attributes exist on instances only.
CONSTRUCTED: dict[type, tuple[object, ...]] = {
    Job: ("id", Redis()),
    Queue: ("searches", Redis()),
}


@pytest.mark.parametrize("owner", SUBCLASSES, ids=lambda owner: owner.__name__)
def test_the_table_lists_everything_that_a_subclass_overrides(owner: type) -> None:
    ours = {name for name in vars(SUBCLASSES[owner]) if not name.startswith("__")}
    assert {name for name in ours if hasattr(owner, name)} == set(OVERRIDDEN[owner])


def test_no_method_of_ours_has_a_name_that_rq_uses_by_accident() -> None:
    ours = {name for name in vars(SearchWorker) if name.startswith("_") and not name.startswith("__")}
    assert not {name for name in ours if hasattr(Worker, name)}


def test_rq_calls_an_overridden_method_with_what_ours_accepts() -> None:
    for owner, members in OVERRIDDEN.items():
        for name, parameters in members.items():
            if parameters is not ATTRIBUTE:
                theirs = inspect.signature(getattr(owner, name)).parameters
                ours = inspect.signature(getattr(SUBCLASSES[owner], name))
                given = {each.name: None for each in theirs.values() if each.kind.name.endswith("_ONLY")}
                positional = [None for each in theirs.values() if each.kind.name == "POSITIONAL_OR_KEYWORD"]
                ours.bind(*positional, **given)


def test_keys_in_redis_are_named_as_listed() -> None:
    queue = Queue("searches", connection=Redis())
    assert set(KEYS.values()) == {
        IntermediateQueue(queue.key, queue.connection).key.replace("searches", "{queue}"),
        StartedJobRegistry("searches", connection=queue.connection).key.replace("searches", "{queue}"),
        worker_registration.WORKERS_BY_QUEUE_KEY % "{queue}",
    }


def test_the_installed_rq_is_the_major_version_that_the_tables_describe() -> None:
    assert version("rq").split(".")[0] == "3"
