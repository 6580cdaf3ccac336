"""Many clients at once, each with the next search that is due."""

from __future__ import annotations

import gc
import random
import threading
import time
from collections import deque
from collections.abc import Sequence

from campaigns.clients import Client, Door
from campaigns.tickets import Ticket


class Crowd:
    """Clients that share the work.

    Parameters
    ----------
    doors : sequence of Door
        One for each client.
    pictures : list of bytes
        What is searched with.
    """

    def __init__(self, doors: Sequence[Door], pictures: list[bytes]) -> None:
        self.tickets: list[Ticket] = []
        self._ending = threading.Event()
        self._clients = [Client(door, pictures, self.tickets, self._ending) for door in doors]
        self._threads: list[threading.Thread] = []
        self._due: deque[tuple[float, str, int]] = deque()

    def start(self, name: str, pictures: Sequence[int], seconds: float, seed: int) -> None:
        """Begin to search with these pictures, at moments spread over so many `seconds`.

        `name` begins every submission's token.
        """
        rng = random.Random(f"{seed} searches")
        moments = sorted(rng.uniform(0.0, seconds) for _ in pictures)
        now = time.monotonic()
        numbered = enumerate(zip(moments, pictures, strict=True))
        self._due = deque((now + at, f"{name}-{number:06}", picture) for number, (at, picture) in numbered)
        self._threads = [threading.Thread(target=self._work, args=(client,)) for client in self._clients]
        for thread in self._threads:
            thread.start()

    def finish(self, seconds: float) -> bool:
        """Wait until all searches have ended, and let everybody go; False where some had not in time."""
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        finished = not any(thread.is_alive() for thread in self._threads)
        self._ending.set()
        for thread in self._threads:
            thread.join()
        self._ending.clear()
        return finished

    def look_once_more(self, seconds: float) -> None:
        """Let everybody see, within so many seconds, whether what they were told still holds."""
        stopping = threading.Timer(seconds, self._ending.set)
        stopping.start()
        for client in self._clients:
            client.look_once_more()
        stopping.cancel()
        gc.collect()  # a connection is closed with its last owner, and a failed request's traceback is one

    def _work(self, client: Client) -> None:
        while self._due and not self._ending.is_set():
            try:
                moment, name, picture = self._due.popleft()
            except IndexError:  # another was quicker
                return
            if not self._ending.wait(max(0.0, moment - time.monotonic())):
                client.search(name, picture)
