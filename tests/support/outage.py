"""Searches on a full disk: ``unshare -rm python -m tests.support.outage FOLDER SECONDS``.

FOLDER is an installation's data directory. In a separate mount namespace, a small tmpfs takes the place of
the disk of the uploads, is full for a time, and is freed again. The outcomes are printed as JSON.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from pathlib import Path

from tests.support.drawings import picture
from tests.support.installation import Installation
from tests.support.servers import redis_server

SEARCHES = 6


def main(directory: Path, seconds: float) -> None:
    """Submit searches, fill the disk, start the worker, and free the disk after a time."""
    uploads = directory / "uploads"
    uploads.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", uploads], check=True)
    with redis_server() as redis, contextlib.closing(Installation(directory, redis)) as site:
        searches = [site.submit(picture(number)) for number in range(SEARCHES)]
        filler = uploads / "filler"
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))
        with site.worker(ready=lambda: True):
            time.sleep(seconds)
            during = [row.status for each in searches if (row := site.row(each))]
            filler.unlink()
            rows = [site.ended(each, 60.0) for each in searches]
        log = (directory / "worker.log").read_text()
    found = {
        "during": during,
        "statuses": [row.status for row in rows],
        "attempts": [row.attempt for row in rows],
        "pauses": log.count("searches pause"),
        "over": log.count("the outage is over"),
    }
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]))
