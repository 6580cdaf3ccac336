from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

import pytest

from tests.support.drawings import PICTURES, picture
from tests.support.installation import Installation
from tests.support.postgres import PostgresUnderTest
from tests.support.servers import RedisUnderTest


@pytest.mark.postgres
def test_forked_workers_share_no_connection_to_postgresql(
    postgres: PostgresUnderTest, template: Path, tmp_path: Path, redis: RedisUnderTest
) -> None:
    postgres.empty()
    shutil.copytree(template, tmp_path / "data")
    with contextlib.closing(
        Installation(tmp_path / "data", redis, DATABASE_URL=postgres.url)
    ) as installation:
        searches = [installation.submit(picture(number)) for number in range(PICTURES)]
        with installation.worker(workers=2) as worker:
            rows = [installation.ended(search_id, 60.0) for search_id in searches]
        found = [installation.results(search_id)[0] for search_id in searches]
    assert {(row.status, row.attempt) for row in rows} == {("done", 1)}
    assert found == [f"{number:02}.png" for number in range(PICTURES)]
    assert '"level": "error"' not in worker.output()
