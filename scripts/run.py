"""``make run``, once the environment is there: prepare what is missing, then serve until Ctrl-C."""

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

from app import create_app, queue
from app.redis_policy import eviction_problem
from config import ROOT, Settings, SettingsError, load_settings, redis_address_file
from scripts import preparation
from scripts.ports import port_problem
from scripts.preparation import StartError, StepFailedError
from scripts.processes import Processes, read_procfile, say
from scripts.redis_server import (
    RedisMissingError,
    RedisServer,
    RedisStartError,
    end_leftover,
    require_redis_server,
    socket_directory,
)

TICK = 0.2
REDIS_PAUSE = 5.0
LAST_WORDS = 15.0  # seconds beyond a search's time limit that the worker has to end


class Interrupted(BaseException):
    """SIGTERM or SIGHUP came while things were being prepared."""


def main() -> int:
    """Run from the command line; return the exit status."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        with ExitStack() as stack:
            return _run(stack)
    except (SettingsError, StartError, RedisMissingError, RedisStartError) as error:
        print(f"vitrine: {error}", file=sys.stderr)
    except StepFailedError:
        pass  # the command has said why
    except OSError as error:
        print(f"vitrine: {error.filename or 'the system'}: {error.strerror}", file=sys.stderr)
    except (KeyboardInterrupt, Interrupted):
        return 130
    return 1


def _run(stack: ExitStack) -> int:
    os.environ.setdefault("LOG_LEVEL", "WARNING")
    settings = load_settings()
    if problem := port_problem(settings.host, settings.port):
        raise StartError(problem)
    given = bool(os.environ.get("REDIS_URL", "").strip())
    if given:
        _check_redis(settings)
    else:
        require_redis_server()
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    preparation.check_disk(settings)
    stack.callback(os.close, preparation.lock(settings))
    app = create_app(settings)
    preparation.migrate(app)
    preparation.weights(settings, os.environ)
    preparation.index(settings, os.environ)
    server = None if given else _start_redis(settings, stack)
    return _serve(create_app(load_settings()), server)


def _check_redis(settings: Settings) -> None:
    client = Redis.from_url(settings.redis_url, socket_connect_timeout=3.0, socket_timeout=3.0)
    try:
        problem = eviction_problem(client)
    except RedisError as error:
        raise StartError(
            "REDIS_URL is set, but no Redis answers there: start it, or unset REDIS_URL"
        ) from error
    finally:
        client.close()
    if problem:
        raise StartError(problem)


def _start_redis(settings: Settings, stack: ExitStack) -> RedisServer:
    """Start a Redis of our own, end it with us, and tell the processes and other commands where it is."""
    address = redis_address_file(settings.data_dir)
    if address.exists():
        end_leftover(address.read_text().strip())
    sockets = stack.enter_context(socket_directory())
    server = RedisServer(settings.data_dir / "redis", sockets / "redis.sock")
    stack.callback(server.stop)
    server.start()
    stack.callback(address.unlink, missing_ok=True)
    address.write_text(server.url)
    os.environ["REDIS_URL"] = server.url
    return server


def _serve(app: Flask, server: RedisServer | None) -> int:
    """Run the Procfile's processes until a signal, or until one of them ends."""
    settings: Settings = app.config["VITRINE"]
    signals: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        signals.append(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, note)
    processes = Processes(os.environ)
    try:
        for name, command in read_procfile(ROOT / "Procfile").items():
            processes.start(name, command)
        ended = _watch(app, processes, server, signals)
    finally:
        _stop(processes, signals, settings.job_timeout + LAST_WORDS)
    return 1 if ended else 0


def _watch(app: Flask, processes: Processes, server: RedisServer | None, signals: list[int]) -> bool:
    """Say when all is ready, and keep Redis running; return whether a process ended, and no signal came."""
    ready = False
    while not signals:
        if ended := processes.ended():
            say(f"{ended[0]} ended with status {ended[1]}")
            return True
        if not ready and (ready := _ready(app)):
            say(f"Vitrine is ready: {_address(app.config['VITRINE'])}  (Ctrl-C to stop)")
        if server is not None and not server.alive():
            _restart(server)
        time.sleep(TICK)
    return False


def _restart(server: RedisServer) -> None:
    """Start Redis again; until it is there, searches wait and the pages work."""
    say("Redis ended; it is started again")
    try:
        server.start()
    except RedisStartError as error:
        say(str(error))
        time.sleep(REDIS_PAUSE)


def _stop(processes: Processes, signals: list[int], patience: float) -> None:
    """Let the current search finish; at a second signal end at once."""
    obeyed, deadline = len(signals), time.monotonic() + patience
    processes.signal(signal.SIGTERM)
    while not processes.wait(TICK) and time.monotonic() < deadline:
        if len(signals) > obeyed:
            obeyed, deadline = len(signals), time.monotonic() + 3.0
            processes.signal(signal.SIGTERM)
    processes.kill()


def _ready(app: Flask) -> bool:
    """Whether the web process answers and a worker listens."""
    try:
        address = f"{_address(app.config['VITRINE'])}/healthz"
        with urllib.request.urlopen(address, timeout=2.0):  # noqa: S310 - our own server
            pass
    except OSError:
        return False
    with app.app_context():
        return bool(queue.searchers())


def _address(settings: Settings) -> str:
    everywhere = settings.host in ("0.0.0.0", "::")  # noqa: S104
    host = "127.0.0.1" if everywhere else f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http://{host}:{settings.port}"


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise Interrupted


if __name__ == "__main__":
    sys.exit(main())
