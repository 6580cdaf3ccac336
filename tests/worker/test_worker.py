from __future__ import annotations

from tests.support.installation import Installation, picture


def test_a_search_that_waits_is_found_and_carried_out(installation: Installation) -> None:
    search_id = installation.submit(picture(5))
    with installation.worker():
        row = installation.ended(search_id)
    assert (row.status, row.attempt) == ("done", 1)
    assert installation.results(search_id)[0] == "05.png"
    assert row.searched == 24
