"""The web process: start, refusal to start, requests, shutdown."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from flask import Flask

from app.accounts import service, tokens
from app.database import Owner
from config import ROOT, Settings
from tests.support.searches import waiting_search
from tests.support.servers import Process, free_port, process
from tests.support.waiting import eventually
from tests.support.web import PASSWORD

pytestmark = pytest.mark.slow


@pytest.fixture
def environment(settings: Settings) -> dict[str, str]:
    return {
        "DATA_DIR": str(settings.data_dir),
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
        "SECRET_KEY": settings.secret_key,
        "MODEL": settings.model,
        "MAX_UPLOAD_MB": "1",
        "PORT": str(free_port()),
    }


@pytest.fixture
def server(environment: dict[str, str], tmp_path: Path) -> Iterator[Process]:
    log = tmp_path / "web.log"
    with process("wsgi.py", environ=environment, log=log, ready=lambda: answers(environment)) as running:
        yield running


def address(environment: dict[str, str], path: str = "/healthz") -> str:
    return f"http://127.0.0.1:{environment['PORT']}{path}"


def answers(environment: dict[str, str]) -> bool:
    try:
        return requests.get(address(environment), timeout=5).ok
    except requests.ConnectionError:
        return False


def figures(environment: dict[str, str]) -> str:
    return requests.get(address(environment, "/metrics"), timeout=5).text


def start(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "wsgi.py"], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60
    )


def test_it_serves_and_stops_on_sigterm(server: Process, environment: dict[str, str]) -> None:
    answer = requests.get(address(environment, "/"), timeout=10)
    assert answer.status_code == 200
    assert "Server" not in answer.headers
    server.signal(signal.SIGTERM)
    assert server.wait() == 0
    assert "Traceback" not in server.output()


@pytest.mark.usefixtures("server")
def test_a_port_in_use_is_reported_in_one_line(environment: dict[str, str]) -> None:
    second = start(environment)
    assert second.returncode == 2
    assert second.stderr.count("\n") == 1
    assert f"port {environment['PORT']} is in use" in second.stderr


def test_an_invalid_setting_is_reported_in_one_line(environment: dict[str, str]) -> None:
    failed = start(environment | {"WORKERS": "many"})
    assert (failed.returncode, failed.stderr.count("\n")) == (2, 1)
    assert "WORKERS" in failed.stderr


@pytest.mark.usefixtures("server")
def test_a_body_that_is_too_large_is_refused_with_and_without_a_length(environment: dict[str, str]) -> None:
    url = address(environment, "/searches")
    big = b"\0" * 2**18
    assert requests.post(url, data=big * 8, timeout=20).status_code == 413
    try:
        status = requests.post(url, data=(big for _ in range(8)), timeout=20).status_code
    except requests.ConnectionError:  # the connection was closed during the body, which is a refusal as well
        status = 413
    assert status == 413


@pytest.mark.usefixtures("server")
def test_slow_clients_do_not_delay_others(environment: dict[str, str]) -> None:
    head = b"POST /searches HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n"
    slow = [socket.create_connection(("127.0.0.1", int(environment["PORT"]))) for _ in range(50)]
    try:
        for connection in slow:
            connection.sendall(head + b"x")
        assert requests.get(address(environment), timeout=5).ok
    finally:
        for connection in slow:
            connection.close()


def test_current_requests_are_answered_before_shutdown(
    app: Flask, server: Process, environment: dict[str, str]
) -> None:
    with app.app_context():
        account = service.create("maria", PASSWORD)
        token = tokens.create(account.id, "shop")
        search_id = waiting_search(Owner(user_id=account.id))
    url = address(environment, f"/api/v1/searches/{search_id}?wait=2")
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(requests.get, url, headers={"Authorization": f"Bearer {token}"}, timeout=20)
        eventually(lambda: "vitrine_requests_in_progress 2.0" in figures(environment))
        server.signal(signal.SIGTERM)
        assert waiting.result().json()["status"] == "queued"
    assert server.wait() == 0
