"""Structured logs: one JSON object per line, without secrets or the names of pictures.

Of a request, the pattern of its route is logged and never its address, whose query may contain a name. Of an
exception, the type and the traceback are logged and never the message, which may contain a path.
"""

from __future__ import annotations

import json
import logging
import re
import secrets
import sys
import time
import traceback
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

from flask import Flask, Response, g, has_request_context, request

from config import Settings

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
LIBRARY_FRAMES = 2  # innermost frames that are always logged
QUIET = ("/static/", "/healthz", "/readyz", "/metrics")
STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """Format a record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        entry: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        if has_request_context():
            entry["request_id"] = g.get("request_id")
        entry.update({name: value for name, value in vars(record).items() if name not in STANDARD})
        if record.exc_info and record.exc_info[1] is not None:
            kind, _, trace = record.exc_info
            entry["error"] = f"{kind.__module__}.{kind.__qualname__}" if kind else ""
            entry["trace"] = _frames(trace)
        return json.dumps(entry, ensure_ascii=False, default=str)


def configure(settings: Settings) -> None:
    """Send all logs of this process to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level)
    # At lower levels these log SQL statements, addresses and keys.
    for name in ("sqlalchemy", "PIL", "urllib3", "rq", "werkzeug", "flask_wtf", "waitress.queue"):
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


def init_app(app: Flask) -> None:
    """Give each request an id, and log one line when it has been answered."""
    app.before_request(_begin)
    app.after_request(_finish)


def _begin() -> None:
    given = request.headers.get("X-Request-ID", "")
    g.request_id = given if REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
    g.began = time.perf_counter()


def _finish(response: Response) -> Response:
    response.headers["X-Request-ID"] = g.request_id
    level = logging.DEBUG if request.path.startswith(QUIET) else logging.INFO
    logging.getLogger("app.request").log(
        level,
        "request",
        extra={
            "method": request.method,
            "route": request.url_rule.rule if request.url_rule else None,
            "status": response.status_code,
            "milliseconds": round((time.perf_counter() - g.began) * 1000, 1),
        },
    )
    return response


def _frames(trace: TracebackType | None) -> list[str]:
    """Return the frames of our code, and the innermost ones of any package."""
    stack = list(traceback.extract_tb(trace))
    ours = [frame for frame in stack[:-LIBRARY_FRAMES] if "site-packages" not in frame.filename]
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in ours + stack[-LIBRARY_FRAMES:]]
