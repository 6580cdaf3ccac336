"""nginx and Caddy, with the files that are shipped, in front of a real site."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from PIL import Image

from app.accounts import tokens
from tests.deploy.proxies import NAME, PROXIES, Address, installed
from tests.support.drawings import picture
from tests.support.installation import Installation
from tests.support.servers import redis_server
from tests.support.waiting import eventually
from tests.support.web import PASSWORD, TOKEN, account_id

BEHIND = {"APP_ENV": "production", "PROXY_HOPS": "1", "TRUSTED_HOSTS": f"{NAME},127.0.0.1"}
FORGED = {
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Proto": "http",
    "X-Forwarded-Prefix": "/evil",
    "Forwarded": "for=192.0.2.1;host=evil.example;proto=http",
}


class Client:
    """A browser that reaches the site through a proxy."""

    def __init__(self, address: str, trusted: Path) -> None:
        self.address = address
        self.session = requests.Session()
        self.session.trust_env = False  # REQUESTS_CA_BUNDLE would win over `verify`
        self.session.verify = str(trusted)
        self.session.headers["Referer"] = f"https://{NAME}/"  # the name that the site knows itself by

    def get(self, path: str, **options: object) -> requests.Response:
        return self.session.get(self.address + path, timeout=60, allow_redirects=False, **options)

    def post(self, path: str, data: object = None, **options: object) -> requests.Response:
        return self.session.post(self.address + path, data, timeout=60, allow_redirects=False, **options)

    def form(self, path: str, **fields: str) -> dict[str, str]:
        found = TOKEN.search(self.get(path).text)
        assert found is not None
        return {"csrf_token": found[1], **fields}


class Served:
    """A site and the proxy in front of it."""

    def __init__(self, site: Installation, proxy: Address) -> None:
        self.site, self.proxy = site, proxy

    def client(self) -> Client:
        return Client(self.proxy.https, self.proxy.trusted)


@pytest.fixture(scope="module", params=sorted(PROXIES))
def served(
    request: pytest.FixtureRequest, template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    if not installed(request.param):
        pytest.skip(f"{request.param} is not installed (Debian: apt-get install {request.param})")
    directory = tmp_path_factory.mktemp(request.param)
    shutil.copytree(template, directory / "data")
    (directory / "proxy").mkdir()
    with contextlib.ExitStack() as stack:
        redis = stack.enter_context(redis_server())
        site = stack.enter_context(contextlib.closing(Installation(directory / "data", redis, **BEHIND)))
        site.environ["MAX_UPLOAD_MB"] = "20"
        stack.enter_context(site.serving())
        web = site.url.removeprefix("http://")
        yield Served(site, stack.enter_context(PROXIES[request.param](directory / "proxy", web)))


@pytest.fixture
def client(served: Served) -> Client:
    return served.client()


@pytest.fixture(scope="module")
def bearer(served: Served) -> dict[str, str]:
    client = served.client()
    form = client.form("/signup", username="maria", password=PASSWORD)
    assert client.post("/signup", form).status_code == 303
    with served.site.app.app_context():
        return {"Authorization": f"Bearer {tokens.create(account_id(served.site.app, 'maria'), 'test')}"}


def noise(megabytes: float) -> bytes:
    """A picture that no compression makes smaller."""
    side = int((megabytes * 1e6 / 3) ** 0.5)
    file = io.BytesIO()
    Image.frombytes("RGB", (side, side), os.urandom(side * side * 3)).save(file, "PNG", compress_level=0)
    return file.getvalue()


def test_the_site_is_served_with_tls(client: Client) -> None:
    page = client.get("/")
    assert page.status_code == 200
    assert "Strict-Transport-Security" in page.headers
    client.post("/signup", client.form("/signup", username="secure", password=PASSWORD))
    assert {cookie.secure for cookie in client.session.cookies} == {True}


def test_a_large_picture_is_searched(client: Client, bearer: dict[str, str]) -> None:
    content = noise(15)
    assert len(content) > 15_000_000
    made = client.post("/api/v1/searches", content, headers={**bearer, "Content-Type": "image/png"})
    assert made.status_code == 201, made.text
    url = made.json()["url"]
    eventually(lambda: client.get(url, headers=bearer).json()["status"] == "done", 60.0)


def test_a_picture_that_is_a_little_too_large_gets_the_answer_of_the_site(
    client: Client, bearer: dict[str, str]
) -> None:
    refused = client.post(
        "/api/v1/searches", bytes(21_000_000), headers={**bearer, "Content-Type": "image/png"}
    )
    assert refused.status_code == 413
    assert refused.json()["error"]["code"] == "too_large"


def test_a_larger_body_does_not_reach_the_site(client: Client, bearer: dict[str, str]) -> None:
    with contextlib.suppress(requests.ConnectionError):  # refused before all of it was sent
        refused = client.post("/api/v1/searches", bytes(21_100_000), headers=bearer)
        assert refused.status_code == 413
        assert "application/json" not in refused.headers.get("Content-Type", "")


def test_forged_forwarding_headers_have_no_effect(client: Client) -> None:
    plain, forged = client.get("/login"), client.get("/login", headers=FORGED)
    assert (forged.status_code, "Strict-Transport-Security" in forged.headers) == (200, True)
    assert "evil" not in forged.text
    assert TOKEN.sub("", plain.text) == TOKEN.sub("", forged.text)


def test_another_host_name_does_not_reach_the_site(client: Client) -> None:
    try:
        answer = client.get("/", headers={"Host": "evil.example"})
    except requests.exceptions.SSLError:
        raise
    except requests.ConnectionError:
        return  # closed without an answer
    assert answer.status_code in (200, 421)
    assert "Vitrine" not in answer.text


def test_a_forged_address_does_not_get_around_the_throttle(client: Client) -> None:
    answers = []
    for number in range(7):
        form = client.form("/login", username=f"person{number}", password=PASSWORD)
        answers.append(
            client.post("/login", form, headers={"X-Forwarded-For": f"192.0.2.{number}"}).status_code
        )
    assert answers[-1] == 429


@pytest.mark.parametrize(
    "path", ["/metrics", "/readyz", "//metrics", "/%6detrics", "/metrics?x=1", "/x/../readyz"]
)
def test_what_is_for_monitoring_is_refused(served: Served, client: Client, path: str) -> None:
    prepared = requests.Request("GET", served.proxy.https).prepare()
    prepared.url = served.proxy.https + path  # as it stands, not tidied up
    answer = client.session.send(prepared, verify=str(served.proxy.trusted), allow_redirects=False)
    assert answer.status_code in (301, 308, 403, 404)
    assert "vitrine_" not in answer.text
    assert "checks" not in answer.text


def test_monitoring_asks_the_web_process_itself(served: Served, client: Client) -> None:
    assert client.get("/metrics").status_code == 403
    assert client.get("/healthz").status_code == 200
    direct = requests.get(f"{served.site.url}/readyz", headers={"Host": NAME}, timeout=20)
    assert direct.json()["status"] == "ready"


def test_a_long_poll_is_not_cut(served: Served, client: Client, bearer: dict[str, str]) -> None:
    with served.site.without_worker():
        made = client.post("/api/v1/searches", picture(1), headers={**bearer, "Content-Type": "image/png"})
        began = time.monotonic()
        waited = client.get(f"{made.json()['url']}?wait=10", headers=bearer)
        assert time.monotonic() - began > 9.5
    assert (waited.status_code, waited.json()["status"]) == (200, "queued")


def test_http_leads_to_https(served: Served) -> None:
    answer = requests.get(f"{served.proxy.http}/x?y=1", allow_redirects=False, timeout=20)
    assert answer.status_code in (301, 308)
    assert answer.headers["Location"].startswith(f"https://{NAME}")
    assert answer.headers["Location"].endswith("/x?y=1")
