"""``make run``, once packages are installed: prepares what is missing, then serves until Ctrl-C."""

from __future__ import annotations

import os
import signal
import sys
import time
import urllib.request
from contextlib import ExitStack
from types import FrameType

from flask import Flask
from redis import Redis
from redis.exceptions import RedisError

from app import create_app, private_files, queue, utf8
from app.redis_policy import eviction_problem
from config import ROOT, Settings, SettingsError, load_settings, redis_address_file
from scripts import preparation
from scripts.ports import port_problem
from scripts.preparation import StartError, StepFailedError
from scripts.processes import GivenUpError, Processes, print_line, read_procfile
from scripts.redis_server import (
    RedisMissingError,
    RedisServer,
    RedisStartError,
    require_redis_server,
    socket_directory,
)
from scripts.steps import Step

TICK = 0.2
REDIS_PAUSE = 5.0
STOP_SECONDS = 15.0  # beyond the time limit of a search, until the worker is killed


class Interrupted(BaseException):
    """SIGTERM or SIGHUP during the preparation."""


def main() -> int:
    """Run until a signal comes; return the exit status."""
    utf8.ensure()
    os.environ["PYTHONUTF8"] = "1"  # for the processes that this one starts
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        with ExitStack() as stack:
            return _run(stack)
    except (SettingsError, StartError, RedisMissingError, RedisStartError) as error:
        print(f"vitrine: {error}", file=sys.stderr)
    except StepFailedError:
        pass  # its process has printed the reason
    except OSError as error:
        print(f"vitrine: {error.filename or 'the system'}: {error.strerror}", file=sys.stderr)
    except (KeyboardInterrupt, Interrupted):
        return 130
    return 1


def _run(stack: ExitStack) -> int:
    os.environ.setdefault("LOG_LEVEL", "WARNING")
    private_files.restrict_new_files()
    settings = load_settings()
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    # Before the port is checked: an earlier run in this place may still be ending.
    lock = preparation.lock(settings, settings.job_timeout + STOP_SECONDS)
    stack.callback(os.close, lock)
    if problem := port_problem(settings.host, settings.port):
        raise StartError(problem)
    given = bool(os.environ.get("REDIS_URL", "").strip())
    if given:
        _check_redis(settings)
    else:
        require_redis_server()
    preparation.check_disk(settings)
    app = create_app(settings)
    private_files.restrict(settings)
    preparation.migrate(app)
    preparation.weights(settings, os.environ)
    preparation.index(settings, os.environ)
    server = None if given else _start_redis(settings, stack, lock)
    return _serve(create_app(load_settings()), server, lock)


def _check_redis(settings: Settings) -> None:
    client = Redis.from_url(settings.redis_url, socket_connect_timeout=3.0, socket_timeout=3.0)
    try:
        problem = eviction_problem(client)
    except RedisError as error:
        raise StartError(
            "REDIS_URL is set, but no Redis answers there: start it or unset REDIS_URL"
        ) from error
    finally:
        client.close()
    if problem:
        raise StartError(problem)


def _start_redis(settings: Settings, stack: ExitStack, lock: int) -> RedisServer:
    """Start a Redis that ends with this process, and write its address where other commands look for it."""
    address = redis_address_file(settings.data_dir)
    sockets = stack.enter_context(socket_directory())
    server = RedisServer(settings.data_dir / "redis", sockets / "redis.sock", inherited=(lock,))
    stack.callback(server.stop)
    server.start()
    Step("Redis").finish("started")
    stack.callback(address.unlink, missing_ok=True)
    address.write_text(server.url)
    os.environ["REDIS_URL"] = server.url
    return server


def _serve(app: Flask, server: RedisServer | None, lock: int) -> int:
    """Run the Procfile's processes until a signal comes, or until one of them has died too often."""
    settings: Settings = app.config["VITRINE"]
    signals: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        signals.append(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, note)
    processes = Processes(os.environ, inherited=(lock,))
    try:
        for name, command in read_procfile(ROOT / "Procfile").items():
            processes.start(name, command)
        Step("Web and worker").finish("started")
        _watch(app, processes, server, signals)
    except GivenUpError as error:
        print_line(f"vitrine: {error}")
        return 1
    finally:
        _stop(processes, signals, settings.job_timeout + STOP_SECONDS)
    return 0


def _watch(app: Flask, processes: Processes, server: RedisServer | None, signals: list[int]) -> None:
    """Print the address once everything answers, and revive processes and Redis until a signal comes."""
    ready = False
    while not signals:
        processes.revive()
        if not ready and (ready := _ready(app)):
            print_line(f"\nVitrine is ready: {_address(app.config['VITRINE'])}  (Ctrl-C to stop)")
        if server is not None and not server.alive():
            _restart(server)
        time.sleep(TICK)


def _restart(server: RedisServer) -> None:
    """Restart Redis; meanwhile pages work and searches wait."""
    print_line("Redis ended; restarting it")
    try:
        server.start()
    except RedisStartError as error:
        print_line(str(error))
        time.sleep(REDIS_PAUSE)


def _stop(processes: Processes, signals: list[int], patience: float) -> None:
    """Let the current search finish; stop at once on a second signal."""
    handled, deadline = len(signals), time.monotonic() + patience
    processes.signal(signal.SIGTERM)
    while not processes.wait(TICK) and time.monotonic() < deadline:
        if len(signals) > handled:
            handled, deadline = len(signals), time.monotonic() + 3.0
            processes.signal(signal.SIGTERM)
    processes.kill()


def _ready(app: Flask) -> bool:
    """Return whether the web process answers and a worker is running."""
    try:
        address = f"{_address(app.config['VITRINE'])}/healthz"
        with urllib.request.urlopen(address, timeout=2.0):  # noqa: S310 - our own server
            pass
    except OSError:
        return False
    with app.app_context():
        return bool(queue.searchers())


def _address(settings: Settings) -> str:
    everywhere = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104
    if settings.host in everywhere:
        return f"http://{everywhere[settings.host]}:{settings.port}"
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http://{host}:{settings.port}"


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise Interrupted


if __name__ == "__main__":
    sys.exit(main())
