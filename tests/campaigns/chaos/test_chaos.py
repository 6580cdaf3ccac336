"""``make chaos`` itself: a seed repeats its plan, and the findings report each kind of damage."""

from __future__ import annotations

import copy
import math
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.orm import Session

from app import create_app
from app.database import Search, SearchResult, SearchStatus
from app.extensions import db
from app.transactions import transaction
from config import ROOT, load_settings
from model.pictures import open_rgb
from model.pictures.copies import jpeg
from tests.campaigns.chaos import evidence, run
from tests.campaigns.chaos.client_pool import ClientPool
from tests.campaigns.chaos.deployment import queries, signature, signed
from tests.campaigns.chaos.evidence import Evidence, Row
from tests.campaigns.chaos.faults import FAULTS, plan
from tests.campaigns.chaos.findings import findings
from tests.campaigns.chaos.injections import Injection
from tests.campaigns.chaos.recovery import recoveries
from tests.campaigns.chaos.tickets import Ticket
from tests.support.databases import KEY

pytestmark = pytest.mark.timeout(300)  # a campaign for all of them, however small
SEED = 7
CAMPAIGN = ["--searches", "12", "--faults", "2", "--seed", str(SEED), "--only", "child killed"]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a small campaign has seen."""
    if subprocess.run(["unshare", "-rm", "true"], check=False, capture_output=True).returncode:
        pytest.skip("this user may not mount: sysctl -w kernel.unprivileged_userns_clone=1")
    folder = tmp_path_factory.mktemp("kept")
    command = [sys.executable, "-m", "tests.campaigns.chaos.run", *CAMPAIGN, "--keep", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / f"{SEED}-sqlite"


@pytest.fixture
def seen(kept: Path) -> Evidence:
    return Evidence.load(kept / "evidence.json")


@pytest.fixture
def database(kept: Path, tmp_path: Path) -> Iterator[Flask]:
    """An application on a copy of the campaign's database."""
    file = shutil.copy(kept / "vitrine.db", tmp_path)
    environ = {"DATA_DIR": str(tmp_path), "SECRET_KEY": KEY, "DATABASE_URL": f"sqlite:///{file}"}
    app = create_app(load_settings(environ))
    with app.app_context():
        yield app
        db.session.remove()
        db.engine.dispose()


def done(session: Session) -> Search:
    search = session.scalars(
        sa.select(Search).where(Search.status == SearchStatus.DONE, Search.submission.startswith("faults"))
    ).first()
    assert search is not None
    return search


def result(session: Session, rank: int) -> SearchResult:
    return session.get_one(SearchResult, (done(session).id, rank))


def lose_a_row(session: Session) -> None:
    session.delete(done(session))


def double_a_row(session: Session) -> None:
    session.add(another(done(session), submission=done(session).submission))


def search_what_nobody_asked_for(session: Session) -> None:
    session.add(another(done(session), submission=uuid.uuid4().hex))


def another(search: Search, submission: str) -> Search:
    values = {"status": SearchStatus.FAILED, "error_code": "worker_lost", "attempt": 3}
    return Search(
        visitor="0" * 64, kind=search.kind, upload_id=search.upload_id, submission=submission, **values
    )


def change_a_score_by_the_least(session: Session) -> None:
    hit = result(session, 10)
    hit.score = math.nextafter(hit.score, 2.0)


def exchange_two_results(session: Session) -> None:
    first, second = result(session, 1), result(session, 2)
    first.item_id, second.item_id = second.item_id, first.item_id


def lose_a_result(session: Session) -> None:
    session.delete(result(session, 7))


def leave_one_running(session: Session) -> None:
    done(session).status = SearchStatus.RUNNING


def fail_one_for_no_good_reason(session: Session) -> None:
    search = done(session)
    search.status, search.error_code, search.results = SearchStatus.FAILED, "internal", []


@pytest.mark.parametrize(
    ("tamper", "finding"),
    [
        (lose_a_row, "lost: faults"),
        (double_a_row, "doubled: faults"),
        (search_what_nobody_asked_for, "doubled: 1 rows without a submission"),
        (change_a_score_by_the_least, "in the calm"),
        (exchange_two_results, "in the calm"),
        (lose_a_result, "in the calm"),
        (leave_one_running, "not ended: faults"),
        (fail_one_for_no_good_reason, "with internal, attempt"),
    ],
)
def test_whatever_is_wrong_in_the_database_is_found(
    database: Flask, seen: Evidence, tamper: Callable[[Session], None], finding: str
) -> None:
    seen.rows = evidence.rows()
    assert findings(seen) == []
    with transaction() as session:
        tamper(session)
    seen.rows = evidence.rows()
    assert finding in "\n".join(findings(seen))


def refused(seen: Evidence) -> Ticket:
    ticket = next(each for each in seen.tickets if each.search_id and each.submission.startswith("faults"))
    ticket.search_id, ticket.refused = "", 503
    return ticket


def stay_silent(seen: Evidence) -> None:
    refused(seen).refused = 0


def refuse_and_keep_the_file(seen: Evidence) -> None:
    seen.files.orphans["a.upload"] = refused(seen).submission


def tell_another_search(seen: Evidence) -> None:
    first, second = [each for each in seen.tickets if each.submission.startswith("faults")][:2]
    first.search_id = second.search_id


def tell_other_results(seen: Evidence) -> None:
    seen.tickets[0].hits = seen.tickets[0].hits[::-1]


def come_late(seen: Evidence) -> None:
    last = max(injection.ended for injection in seen.injections)
    for row in seen.rows:
        row.finished += 20.0 if row.finished > last else 0.0


def end_too_late(seen: Evidence) -> None:
    seen.rows[0].finished = max(injection.ended for injection in seen.injections) + 61.0


def finish_twice(seen: Evidence) -> None:
    seen.logs.finished[seen.rows[0].id] = 2


@pytest.mark.parametrize(
    ("tamper", "finding"),
    [
        (stay_silent, "was never answered"),
        (refused, "has a row"),
        (refuse_and_keep_the_file, "has left the file a.upload"),
        (tell_another_search, "mixed up"),
        (tell_other_results, "was told done and the row says done"),
        (finish_twice, "was finished 2 times"),
        (end_too_late, "until 61 s after the last fault"),
        (come_late, "slow: no search was done for 2"),
        (lambda seen: seen.tickets[0].wrong.append("watched: status 404"), "watched: status 404"),
        (lambda seen: seen.files.missing.append("a.webp"), "lost: the file a.webp"),
        (lambda seen: seen.files.unswept.append("b.webp"), "the sweep spares b.webp"),
        (lambda seen: seen.redis.append("rq:job:1"), "left: rq:job:1"),
        (lambda seen: setattr(seen, "leftovers", 1), "left: 1 processes"),
        (lambda seen: setattr(seen, "in_time", False), "in time after the last fault"),
        (lambda seen: setattr(seen.injections[0], "injected", 0.0), "missed: fault 0"),
        (lambda seen: seen.logs.stray.append("Traceback"), "logged: Traceback"),
        (lambda seen: seen.logs.errors.update({"unexpected error (KeyError)": 1}), "unexpected error"),
    ],
)
def test_whatever_clients_processes_and_files_tell_is_found(
    seen: Evidence, tamper: Callable[[Evidence], object], finding: str
) -> None:
    assert findings(seen) == []
    tamper(seen)
    assert finding in "\n".join(findings(seen))


def test_the_same_seed_is_the_same_faults_and_every_kind_has_its_turn() -> None:
    injections = plan(3, 2 * len(FAULTS), "postgresql")
    assert injections == plan(3, 2 * len(FAULTS), "postgresql")
    assert [each.at for each in injections] != [each.at for each in plan(4, 2 * len(FAULTS), "postgresql")]
    assert sorted(each.fault for each in injections) == sorted([*FAULTS, *FAULTS])
    assert "connections cut" not in {each.fault for each in plan(3, 40, "sqlite")}
    for injection in injections:
        assert FAULTS[injection.fault].shortest <= injection.seconds <= FAULTS[injection.fault].longest


@pytest.mark.timeout(20)
def test_time_goes_on_where_searches_do_not_end_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "PATIENCE", 0.2)
    pool = ClientPool([], [])  # no client would start one
    pool.start("faults", [0] * (run.BEHIND + 1), 0.0, SEED)
    run.Clock(pool).wait_until(0.1)
    assert pool.release(0.1) == run.BEHIND + 1


def test_a_signed_picture_is_the_same_picture_and_says_whose_it_is() -> None:
    (png,) = queries(1)
    mine = signed(png, "faults-000001-1")
    assert open_rgb(mine).tobytes() == open_rgb(png).tobytes()
    assert signature(mine) == "faults-000001-1"
    assert [signature(mine[:length]) for length in (0, 40, 50)] == ["", "", ""]
    assert signature(png) == ""
    assert signature(jpeg(open_rgb(png), 320)) == ""
    assert signature(bytes(range(256))) == ""


def test_recovery_is_measured_from_the_last_of_faults_that_overlap() -> None:
    def injection(number: int, fault: str, injected: float, ended: float) -> Injection:
        return Injection(number, fault, 0.0, 0.0, 0.0, injected, ended)

    def row(created: float, finished: float) -> Row:
        return Row("", "", "", "done", "", 1, created, finished, [])

    injections = [
        injection(0, "web killed", 10.0, 10.0),
        injection(1, "redis hung", 20.0, 25.0),
        injection(2, "child killed", 21.0, 21.0),  # while Redis hangs
        injection(3, "index swapped", 25.5, 40.0),  # no search is affected
        injection(4, "child killed", 50.0, 50.0),
    ]
    rows = [row(1.0, 9.0), row(11.0, 13.0), row(12.0, 27.0), row(45.0, 52.0)]
    assert recoveries(injections, rows) == {0: 2.0, 1: 2.0, 4: 2.0}
    late = copy.deepcopy(rows)
    late[-1].created = 51.5
    assert recoveries(injections, late)[4] == 0.5
