"""The web server: Waitress with limits on slow and large requests; started by ``python wsgi.py``."""

from __future__ import annotations

import errno
import signal
import sys

import waitress
from waitress.server import BaseWSGIServer

from app import create_app, logging, pairing, private_files, temporary
from app.extensions import db
from app.slow_clients import Channel
from config import Settings, SettingsError, load_settings

SLOW_CLIENT = 60  # seconds without a byte until a connection is closed
BAD_START = 2
# Bytes per read. Waitress looks at every open connection between two reads: with its default of 8 KB, an
# upload keeps the process busy for as long as several pages.
READ_SIZE = 128 * 1024
# How long a thread may keep Python's global lock while others wait for it. A request takes the lock again
# after every read, query and write; with Python's default of 5 ms it would wait that long each time while
# another page is rendered.
SWITCH_SECONDS = 0.0005


def serve(settings: Settings) -> int:
    """Serve until SIGTERM or Ctrl-C; return the exit status."""
    BaseWSGIServer.channel_class = Channel
    sys.setswitchinterval(SWITCH_SECONDS)
    logging.configure(settings)
    application = create_app(settings)
    private_files.restrict(settings)
    temporary.use_data_dir(settings)
    with application.app_context():
        pairing.check()
    try:
        server = waitress.create_server(
            application,
            host=settings.host,
            port=settings.port,
            threads=settings.web_threads,
            max_request_body_size=application.config["MAX_CONTENT_LENGTH"],
            channel_timeout=SLOW_CLIENT,
            connection_limit=500,
            recv_bytes=READ_SIZE,
            ident=None,
            clear_untrusted_proxy_headers=False,  # ProxyFix trusts the number of proxies in the settings
        )
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return _refuse(f"port {settings.port} is in use; choose another: PORT={settings.port + 1}")
        return _refuse(f"cannot listen on {settings.host}:{settings.port}: {error.strerror}")
    signal.signal(signal.SIGTERM, _exit)
    server.run()  # returns on SystemExit and KeyboardInterrupt, after answering the current requests
    server.close()
    with application.app_context():
        db.engine.dispose()
    return 0


def _exit(_number: int, _frame: object) -> None:
    raise SystemExit(0)


def _refuse(reason: str) -> int:
    sys.stderr.write(f"vitrine: {reason}\n")
    return BAD_START


def main() -> int:
    """Read the settings and serve."""
    private_files.restrict_new_files()
    try:
        return serve(load_settings())
    except (SettingsError, pairing.StrangerError) as error:
        return _refuse(str(error))
