"""What a campaign leaves when everything is quiet: rows, files, Redis keys, logs, processes."""

from __future__ import annotations

import dataclasses
import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from app.database import Search, SearchResult, Upload, utcnow
from app.extensions import db
from tests.campaigns.chaos.deployment import Deployment, signature
from tests.campaigns.chaos.injections import Injection
from tests.campaigns.chaos.tickets import Hit, Ticket
from worker import housekeeping

WORKER = re.compile(r"Worker [0-9a-f]{32}:")  # as RQ names each of them in its log
TOO_LATE = "claim no longer holds"
MOVED = timedelta(hours=2)  # the sweep spares files of the last hour


@dataclass
class Row:
    """One search as the database holds it."""

    id: str
    submission: str
    upload: str
    status: str
    code: str
    attempt: int
    created: float
    finished: float
    hits: list[Hit]


@dataclass
class Files:
    """The folder of pictures.

    Attributes
    ----------
    missing : list of str
        Files that rows name and that do not exist.
    orphans : dict
        Files without a row, and the submission that each came with where it says so.
    unswept : list of str
        Files without a row that the sweep left although its clock was moved on.
    """

    missing: list[str] = field(default_factory=list)
    orphans: dict[str, str] = field(default_factory=dict)
    unswept: list[str] = field(default_factory=list)


@dataclass
class Logs:
    """What the processes have logged.

    Attributes
    ----------
    errors : dict
        Number of errors, by event and exception.
    stray : list of str
        Lines that are not log entries: tracebacks, warnings.
    finished : dict
        By search, how often a process logged that it wrote the results.
    late : int
        How often a process came too late and wrote nothing.
    """

    errors: dict[str, int] = field(default_factory=dict)
    stray: list[str] = field(default_factory=list)
    finished: dict[str, int] = field(default_factory=dict)
    late: int = 0


@dataclass
class Evidence:
    """Everything that `findings` looks at.

    Attributes
    ----------
    expected : dict
        Each picture's results in the calm run.
    in_time : bool
        Whether all searches had ended `PATIENCE` after the last fault.
    redis : list of str
        Keys of jobs left in Redis when no job is left to do.
    leftovers : int
        Processes that dead services have left behind and that still run.
    """

    tickets: list[Ticket]
    injections: list[Injection]
    expected: dict[int, list[Hit]]
    rows: list[Row] = field(default_factory=list)
    files: Files = field(default_factory=Files)
    logs: Logs = field(default_factory=Logs)
    redis: list[str] = field(default_factory=list)
    leftovers: int = 0
    in_time: bool = True

    def save(self, path: Path) -> None:
        """Write it as JSON."""
        path.write_text(json.dumps(dataclasses.asdict(self), indent=1))

    @classmethod
    def load(cls, path: Path) -> Evidence:
        """Read what `save` wrote."""
        kept = json.loads(path.read_text())
        kept |= {
            "tickets": [Ticket(**each | {"hits": _hits(each["hits"])}) for each in kept["tickets"]],
            "rows": [Row(**each | {"hits": _hits(each["hits"])}) for each in kept["rows"]],
            "expected": {int(picture): _hits(hits) for picture, hits in kept["expected"].items()},
            "injections": [Injection(**each) for each in kept["injections"]],
            "files": Files(**kept["files"]),
            "logs": Logs(**kept["logs"]),
        }
        return cls(**kept)


def rows() -> list[Row]:
    """Return every search in the database of the current application."""
    hits: dict[object, list[Hit]] = {}
    for hit in db.session.scalars(sa.select(SearchResult).order_by(SearchResult.rank)):
        hits.setdefault(hit.search_id, []).append((hit.rank, hit.item_id, hit.name, hit.score))
    return [
        Row(
            str(search.id),
            search.submission,
            str(search.upload_id or ""),
            search.status.value,
            search.error_code or "",
            search.attempt,
            search.created.timestamp(),
            _seconds(search.finished),
            hits.get(search.id, []),
        )
        for search in db.session.scalars(sa.select(Search))
    ]


def files(deployment: Deployment) -> Files:
    """Compare the folder of pictures with the rows, sweep it, and compare again."""
    named = {name for upload in db.session.scalars(sa.select(Upload)) for name in upload.files}
    db.session.rollback()
    there = _names(deployment.uploads)
    orphans = {name: signature((deployment.uploads / name).read_bytes()) for name in sorted(there - named)}
    housekeeping.sweep(utcnow() + MOVED)
    return Files(sorted(named - there), orphans, sorted(_names(deployment.uploads) - named))


def logs(paths: Iterable[Path]) -> Logs:
    """Read the log files; a last line that a kill has cut off is left out."""
    stray: list[str] = []
    errors, finished, late = Counter[str](), Counter[str](), 0
    for path in paths:
        *lines, _broken_off = path.read_text(errors="replace").split("\n")
        for line in lines:
            try:
                entry = json.loads(line)
            except ValueError:
                stray.append(f"{path.name}: {line}")
                continue
            if entry["event"] == "search ended":
                finished[entry["search"]] += entry["done"]
            late += entry["event"] == TOO_LATE or not entry.get("done", True)
            if entry["level"] in ("error", "critical") or "trace" in entry:
                event = WORKER.sub("Worker:", entry["event"])
                errors[f"{event} ({entry.get('error', '')})"] += 1
    return Logs(dict(errors), stray, dict(finished), late)


def job_keys(deployment: Deployment) -> list[str]:
    """Return the keys in Redis that stand for jobs and that never expire."""
    client = deployment.redis.client()
    try:
        keys = [key.decode() for pattern in JOB_KEYS for key in client.scan_iter(pattern)]
        return sorted(key for key in keys if client.ttl(key) == NO_EXPIRY)
    finally:
        client.close()


NO_EXPIRY = -1
JOB_KEYS = ("rq:job:*", "rq:queue:*", "rq:wip:*", "rq:executions:*", "vitrine:quarantine:*")


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def _seconds(moment: datetime | None) -> float:
    return moment.timestamp() if moment else 0.0


def _hits(kept: list[tuple[int, str, str, float]]) -> list[Hit]:
    """Turn JSON's lists into tuples."""
    return [(rank, item, name, score) for rank, item, name, score in kept]
