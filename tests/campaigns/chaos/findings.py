"""The findings of a campaign: what was lost, doubled, changed, never finished, or wrongly answered."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator

from tests.campaigns.chaos.evidence import Evidence, Row
from tests.campaigns.chaos.recovery import too_slow
from tests.campaigns.chaos.tickets import Ticket
from worker.attempts import MAX_ATTEMPTS, WORKER_LOST

PATIENCE = 60.0  # seconds after the last fault until everything has ended

# Errors that may be logged while databases are locked, connections cut, disks full and Redis down.
EXPECTED_ERRORS = tuple(
    re.compile(pattern)
    for pattern in (
        r"the database is unavailable \(sqlalchemy\.exc\.(OperationalError|TimeoutError)\)",
        r"the disk is full or not writable \(builtins\.OSError\)",
        r"searches pause: the (disk of \S+|database) cannot be written \(.+\) \(\)",
        r"could not reconcile \(sqlalchemy\.exc\.OperationalError\)",
        r"Exception during reset or similar \(psycopg\.\w+\)",  # the pool drops a connection that was cut
        r"redis is not available; waiting for it \(\w+\)",
        r"job failed \(redis\.exceptions\.\w+\)",
        r"Worker: could not connect to Redis instance: .*",
        r"Worker: Redis connection timeout, quitting\.\.\. \(\)",
        r"Worker: found an unhandled exception, quitting\.\.\. \(redis\.exceptions\.\w+\)",
    )
)


def findings(evidence: Evidence) -> list[str]:
    """Return everything that is wrong, one line each."""
    return [
        *_tickets(evidence),
        *_rows(evidence),
        *_retries(evidence),
        *_files(evidence),
        *_processes(evidence),
    ]


def _tickets(evidence: Evidence) -> Iterator[str]:
    """Compare what clients were told with the rows."""
    rows = {row.id: row for row in evidence.rows}
    submitted = {row.submission for row in evidence.rows}
    for ticket in evidence.tickets:
        yield from (f"{ticket.submission}: {wrong}" for wrong in ticket.wrong)
        if ticket.search_id:
            yield from _told(ticket, rows.get(ticket.search_id), evidence)
        elif ticket.refused and ticket.submission in submitted:
            yield f"refused: {ticket.submission} was answered {ticket.refused} and has a row"
        elif not ticket.refused:
            yield f"not ended: {ticket.submission} was never answered, in {ticket.tries} tries"


def _told(ticket: Ticket, row: Row | None, evidence: Evidence) -> Iterator[str]:
    if row is None:
        yield f"lost: {ticket.submission} was accepted as {ticket.search_id}, which is gone"
        return
    if not ticket.is_retry and row.submission != ticket.submission:
        yield f"mixed up: {ticket.submission} was told of the search of {row.submission}"
    if not ticket.ended:
        yield f"not ended: {ticket.submission} is {row.status}, attempt {row.attempt}"
    elif (ticket.status, ticket.code, ticket.hits) != (row.status, row.code, row.hits):
        yield f"changed: {ticket.submission} was told {ticket.status} and the row says {row.status}"
    if row.status == "done" and row.hits != evidence.expected[ticket.picture]:
        yield f"changed: {ticket.submission} has other results than picture {ticket.picture} in the calm run"


def _rows(evidence: Evidence) -> Iterator[str]:
    """Check the rows alone; `_told` has compared those that a client knows."""
    for submission, count in Counter(row.submission for row in evidence.rows).items():
        if count > 1:
            yield f"doubled: {submission} has {count} rows"
    quiet = max(injection.ended for injection in evidence.injections)
    for row in evidence.rows:
        if row.status not in ("done", "failed"):
            yield f"not ended: {row.submission} is {row.status}, attempt {row.attempt}"
        elif (seconds := row.finished - max(row.created, quiet)) > PATIENCE:
            yield f"not ended: {row.submission}, until {seconds:.0f} s after the last fault"
        if row.status == "failed" and (row.code, row.attempt, row.hits) != (WORKER_LOST, MAX_ATTEMPTS, []):
            yield f"failed: {row.submission} with {row.code}, attempt {row.attempt}, {len(row.hits)} results"
        if (times := evidence.logs.finished.get(row.id, 0)) > 1:
            yield f"doubled: {row.submission} was finished {times} times"


def _retries(evidence: Evidence) -> Iterator[str]:
    """Check that rows without a submission come from Retry, at most one for each press."""
    known = {ticket.submission for ticket in evidence.tickets if not ticket.is_retry}
    upload_of = {row.id: row.upload for row in evidence.rows}
    presses: Counter[str] = Counter()
    for ticket in evidence.tickets:
        presses[upload_of.get(ticket.search_id, "")] += ticket.presses
    unknown = Counter(row.upload for row in evidence.rows if row.submission not in known)
    for upload, count in unknown.items():
        if count > presses[upload]:
            yield f"doubled: {count} rows without a submission, {presses[upload]} presses of Retry"
    ends: dict[str, list[str]] = defaultdict(list)
    for ticket in evidence.tickets:
        if ticket.search_id:
            ends["-".join(ticket.submission.split("-")[:2])].append(ticket.status)
    for name, statuses in ends.items():
        if "done" not in statuses:
            yield f"not ended: {name} came to no result: {', '.join(statuses)}"


def _files(evidence: Evidence) -> Iterator[str]:
    refused = {ticket.submission for ticket in evidence.tickets if ticket.refused}
    for name in evidence.files.missing:
        yield f"lost: the file {name} of a row"
    for name, submission in evidence.files.orphans.items():
        if submission in refused:
            yield f"refused: {submission} has left the file {name}"
    for name in evidence.files.unswept:
        yield f"left: the sweep spares {name}"


def _processes(evidence: Evidence) -> Iterator[str]:
    if not evidence.in_time:
        yield "not ended: some searches, in time after the last fault"
    for injection in evidence.injections:
        if not injection.injected:
            yield f"missed: fault {injection.number}, {injection.fault}"
    for number, seconds in too_slow(evidence.injections, evidence.rows).items():
        yield f"slow: no search was done for {seconds:.1f} s after fault {number}"
    for key in evidence.redis:
        yield f"left: {key} in Redis"
    if evidence.leftovers:
        yield f"left: {evidence.leftovers} processes of dead services"
    for error, count in evidence.logs.errors.items():
        if not any(pattern.fullmatch(error) for pattern in EXPECTED_ERRORS):
            yield f"logged: {error}, {count} times"
    for line in evidence.logs.stray:
        yield f"logged: {line}"
