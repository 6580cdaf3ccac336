"""The web server: Waitress with the limits that the site needs; ``python wsgi.py`` starts it."""

from __future__ import annotations

import errno
import signal
import sys

import waitress
from waitress.server import BaseWSGIServer

from app import create_app, logging
from app.extensions import db
from app.slow_clients import Channel
from config import Settings, SettingsError, load_settings

SLOW_CLIENT = 60  # seconds without a byte until a connection is closed
BAD_START = 2
# Bytes read at once. Between two reads Waitress looks at every open connection: at its own 8 KB, each picture
# that comes in keeps the process busy for as long as several pages.
READ_SIZE = 128 * 1024
# How long a thread keeps Python's lock from another that asks. Each answer asks after every read, query and
# write; at Python's own 5 ms it would wait that long each time, while another page is rendered.
LOCK_SECONDS = 0.0005


def serve(settings: Settings) -> int:
    """Serve until SIGTERM or Ctrl-C; return the exit status."""
    BaseWSGIServer.channel_class = Channel
    sys.setswitchinterval(LOCK_SECONDS)
    logging.configure(settings)
    application = create_app(settings)
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
            clear_untrusted_proxy_headers=False,  # ProxyFix believes as many proxies as the settings say
        )
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return _refuse(f"port {settings.port} is taken; choose another: PORT={settings.port + 1}")
        return _refuse(f"cannot listen on {settings.host}:{settings.port}: {error.strerror}")
    signal.signal(signal.SIGTERM, _leave)
    server.run()  # returns on SystemExit and KeyboardInterrupt, once the requests at hand are answered
    server.close()
    with application.app_context():
        db.engine.dispose()
    return 0


def _leave(_number: int, _frame: object) -> None:
    raise SystemExit(0)


def _refuse(reason: str) -> int:
    sys.stderr.write(f"vitrine: {reason}\n")
    return BAD_START


def main() -> int:
    """Read the settings and serve."""
    try:
        return serve(load_settings())
    except SettingsError as error:
        return _refuse(str(error))
