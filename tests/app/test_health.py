"""Liveness, readiness and metrics."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask_migrate import downgrade
from prometheus_client.parser import text_string_to_metric_families

from app import create_app
from config import Settings, load_settings
from model.version import version
from tests.support.databases import KEY
from tests.support.galleries import tiny_index
from tests.support.searches import claimed, finish
from tests.support.servers import redis_server
from tests.support.web import BOTH, Browser


def metrics(browser: Browser) -> dict[str, float]:
    """Return every sample as ``name[labels]``."""
    return {
        f"{sample.name}{sorted(sample.labels.values())}": sample.value
        for family in text_string_to_metric_families(browser.get("/metrics").text)
        for sample in family.samples
    }


class TestReady:
    @pytest.fixture
    def redis_url(self) -> Iterator[str]:
        with redis_server() as server:
            yield server.url

    @BOTH
    def test_with_all_parts_the_site_is_ready(self, settings: Settings, client: Browser) -> None:
        tiny_index(settings)
        answer = client.get("/readyz")
        assert answer.status_code == 200
        assert {name: check["ok"] for name, check in answer.json["checks"].items()} == {
            "database": True,
            "migrations": True,
            "redis": True,
            "index": True,
        }

    def test_without_an_index_the_site_is_not_ready(self, client: Browser) -> None:
        answer = client.get("/readyz")
        assert answer.status_code == 503
        assert "flask gallery index" in answer.json["checks"]["index"]["detail"]

    @BOTH
    def test_without_its_tables_the_site_is_not_ready(
        self, app: Flask, settings: Settings, client: Browser
    ) -> None:
        from flask_migrate import upgrade

        with app.app_context():
            downgrade(revision="base")
        answer = client.get("/readyz").json["checks"]
        with app.app_context():
            upgrade()
        assert (answer["database"]["ok"], answer["migrations"]["ok"]) == (True, False)
        assert "flask db upgrade" in answer["migrations"]["detail"]


def test_without_redis_the_site_is_alive_and_not_ready(client: Browser) -> None:
    assert client.get("/readyz").json["checks"]["redis"]["ok"] is False
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json) == (200, {"status": "ok", "vitrine": version()})


def test_without_its_database_the_site_is_alive_and_reports_the_problem(tmp_path: Path) -> None:
    environ = {"DATA_DIR": str(tmp_path), "SECRET_KEY": KEY, "REDIS_URL": f"unix://{tmp_path}/none.sock"}
    environ["DATABASE_URL"] = f"postgresql://nobody:secret@/none?host={tmp_path}"
    browser = Browser(create_app(load_settings(environ)))
    assert browser.get("/healthz").status_code == 200
    ready = browser.get("/readyz")
    assert (ready.status_code, ready.json["checks"]["database"]["ok"]) == (503, False)
    assert "secret" not in ready.text
    home = browser.get("/")
    assert (home.status_code, "Retry-After" in home.headers) == (503, True)
    assert "Temporarily unavailable" in home.text
    assert browser.get("/gallery").status_code == 200


@BOTH
def test_metrics_count_searches_by_status_and_the_gallery(
    app: Flask, settings: Settings, client: Browser
) -> None:
    tiny_index(settings)
    done = client.searched()
    client.searched()
    with app.app_context():
        finish(claimed(done))
    found = metrics(client)
    assert found["vitrine_searches['done']"] == found["vitrine_searches['queued']"] == 1
    assert found["vitrine_searches['failed']"] == 0
    assert found["vitrine_gallery_pictures[]"] == 12


def test_metrics_count_requests_by_route_and_contain_no_personal_data(maria: Browser) -> None:
    search_id = maria.searched(filename="secret-name.jpg")
    maria.get(f"/searches/{search_id}")
    maria.get("/gallery?q=secret-name")
    maria.get("/secret-name")
    maria.client.open("/", method="INVENTED")
    found = metrics(maria)
    assert not any("INVENTED" in name for name in found)
    assert found["vitrine_requests_total['/searches/<uuid:search_id>', '200', 'GET']"] == 1
    text = maria.get("/metrics").text
    assert not any(word in text for word in ("maria", "secret-name", str(search_id)))
