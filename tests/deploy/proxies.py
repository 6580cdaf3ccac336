"""The proxies of ``deploy/``, run with the files that are shipped."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import ssl
import string
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from tests.support.servers import ROOT, free_port
from tests.support.waiting import eventually

NAME = "localhost"
DEPLOY = ROOT / "deploy"


class Address(NamedTuple):
    """Where a proxy listens, and the certificate to trust."""

    https: str
    http: str
    trusted: Path


WRAPPER = """\
{user}
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/vitrine.conf;
}}
"""


def certificate(folder: Path) -> Path:
    """Make a self-signed certificate for `NAME`; return the file to trust."""
    request = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
    ]
    files = ["-keyout", str(folder / "privkey.pem"), "-out", str(folder / "fullchain.pem")]
    subject = ["-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}", "-days", "2"]
    subprocess.run([*request, *files, *subject], check=True, capture_output=True)
    return folder / "fullchain.pem"


def nginx_site(folder: Path, web: str, ports: Mapping[int, int]) -> str:
    """Return the shipped file, filled in as its first lines say, listening on other ports."""
    values = {"SERVER_NAME": NAME, "WEB_ADDRESS": web, "MAX_BODY": "20544k", "TLS_DIR": str(folder)}
    text = string.Template((DEPLOY / "nginx.conf").read_text()).safe_substitute(values)
    for shipped, port in ports.items():
        text, count = re.subn(rf"listen {shipped}\b", f"listen 127.0.0.1:{port}", text)
        assert count == 2, f"port {shipped}"
    return text


@contextlib.contextmanager
def nginx(folder: Path, web: str) -> Iterator[Address]:
    """Run nginx in front of `web`; yield its address."""
    ports = {80: free_port(), 443: free_port()}
    trusted = certificate(folder)
    (folder / "vitrine.conf").write_text(nginx_site(folder, web, ports))
    user = "user root;" if os.geteuid() == 0 else ""  # nobody could not enter a test's folder
    (folder / "nginx.conf").write_text(WRAPPER.format(folder=folder, user=user))
    command = ["nginx", "-e", str(folder / "error.log"), "-c", str(folder / "nginx.conf")]
    with _running(command, folder / "output.log", ports[443]):
        yield Address(f"https://{NAME}:{ports[443]}", f"http://{NAME}:{ports[80]}", trusted)


@contextlib.contextmanager
def caddy(folder: Path, web: str) -> Iterator[Address]:
    """Run Caddy in front of `web` with a certificate of its own authority."""
    port, plain = free_port(), free_port()
    options = f"{{\n\tadmin off\n\tskip_install_trust\n\thttp_port {plain}\n\thttps_port {port}\n}}\n"
    (folder / "Caddyfile").write_text(options + (DEPLOY / "Caddyfile").read_text())
    environ = {"SERVER_NAME": NAME, "WEB_ADDRESS": web, "MAX_BODY": "20544KiB", "HOME": str(folder)}
    environ |= {"XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    command = ["caddy", "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]
    trusted = folder / "caddy" / "pki" / "authorities" / "local" / "root.crt"
    with _running(command, folder / "output.log", port, environ):
        eventually(lambda: _handshakes(port, trusted))  # it makes its certificates after it listens
        yield Address(f"https://{NAME}:{port}", f"http://{NAME}:{plain}", trusted)


PROXIES: dict[str, Callable[[Path, str], contextlib.AbstractContextManager[Address]]] = {
    "nginx": nginx,
    "caddy": caddy,
}


def installed(proxy: str) -> bool:
    """Whether there is such a proxy to start."""
    return shutil.which(proxy) is not None


@contextlib.contextmanager
def _running(
    command: list[str], log: Path, port: int, environ: Mapping[str, str] | None = None
) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env={**os.environ, **(environ or {})}, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        eventually(lambda: _listens(port) or process.poll() is not None)
        assert process.poll() is None, log.read_text()
        yield
    finally:
        process.terminate()
        process.wait(20)


def _handshakes(port: int, trusted: Path) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5.0) as plain:
        context = ssl.create_default_context(cafile=str(trusted))
        with context.wrap_socket(plain, server_hostname=NAME):
            return True
    return False


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1.0):
        return True
    return False
