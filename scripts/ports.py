"""Whether the web server's address can be had; stdlib only, asked before anything long begins."""

from __future__ import annotations

import errno
import socket


def port_problem(host: str, port: int) -> str | None:
    """Return why `host`:`port` cannot be listened on, with the mend, or None when it can."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        # As the web server does: an address in TIME_WAIT after a restart is not taken.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                other = port + 1 if port < 65535 else 8001
                return f"Port {port} is taken; choose another: PORT={other} make run"
            if error.errno == errno.EACCES:
                return f"Port {port} needs rights you lack; choose one above 1023: PORT=8000 make run"
            return f"HOST={host} cannot be listened on ({error.strerror}); the default is 127.0.0.1"
    return None
