"""Check that the web server's address is free; stdlib only, so that it can run before an installation."""

from __future__ import annotations

import errno
import socket


def port_problem(host: str, port: int) -> str | None:
    """Return why the server cannot listen on `host`:`port`, with the fix; None if it can."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        # As in the web server: an address in TIME_WAIT after a restart is free.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                other = port + 1 if port < 65535 else 8001
                return f"Port {port} is in use; choose another: PORT={other} make run"
            if error.errno == errno.EACCES:
                return f"Port {port} requires root; choose one above 1023: PORT=8000 make run"
            return f"cannot listen on HOST={host} ({error.strerror}); the default is 127.0.0.1"
    return None
