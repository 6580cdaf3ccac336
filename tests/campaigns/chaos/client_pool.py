"""A pool of clients; each takes the next search that is due."""

from __future__ import annotations

import gc
import queue
import random
import threading
import time
from collections import deque
from collections.abc import Sequence

from tests.campaigns.chaos.clients import Client, Transport
from tests.campaigns.chaos.tickets import Ticket


class ClientPool:
    """Clients that share a list of searches.

    Parameters
    ----------
    transports : sequence of Transport
        One for each client.
    pictures : list of bytes
        What is searched with.
    """

    def __init__(self, transports: Sequence[Transport], pictures: list[bytes]) -> None:
        self.tickets: list[Ticket] = []
        self._ending = threading.Event()
        self._clients = [Client(transport, pictures, self.tickets, self._ending) for transport in transports]
        self._threads: list[threading.Thread] = []
        self._later: deque[tuple[float, str, int]] = deque()
        self._due: queue.SimpleQueue[tuple[str, int] | None] = queue.SimpleQueue()

    def start(self, name: str, pictures: Sequence[int], seconds: float, seed: int) -> None:
        """Schedule searches with these pictures at random times within `seconds`, the last one at the end.

        `name` is the prefix of every submission token.
        """
        self._due = queue.SimpleQueue()
        rng = random.Random(f"{seed} searches")
        times = [*sorted(rng.uniform(0.0, seconds) for _ in pictures[1:]), seconds]
        numbered = enumerate(zip(times, pictures, strict=True))
        self._later = deque((at, f"{name}-{number:06}", picture) for number, (at, picture) in numbered)
        self._threads = [threading.Thread(target=self._work, args=(client,)) for client in self._clients]
        for thread in self._threads:
            thread.start()

    def release(self, seconds: float) -> int:
        """Release what is due `seconds` after the start; return how many searches no client has taken."""
        while self._later and self._later[0][0] <= seconds:
            _, name, picture = self._later.popleft()
            self._due.put((name, picture))
        return self._due.qsize()

    def finish(self, seconds: float) -> bool:
        """Wait until all searches have ended, then stop the clients; False where some were still running."""
        for _ in self._threads:
            self._due.put(None)
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        finished = not any(thread.is_alive() for thread in self._threads)
        self.close()
        self._ending.clear()
        return finished

    def close(self) -> None:
        """Stop all clients at once."""
        self._ending.set()
        for _ in self._threads:
            self._due.put(None)
        for thread in self._threads:
            thread.join()
        self._threads = []

    def verify(self, seconds: float) -> None:
        """Have every client check, within `seconds`, that what it was told still holds."""
        stopping = threading.Timer(seconds, self._ending.set)
        stopping.start()
        for client in self._clients:
            client.verify()
        stopping.cancel()
        gc.collect()  # a connection closes with its last reference; a traceback may hold one

    def _work(self, client: Client) -> None:
        while (task := self._due.get()) is not None:
            if not self._ending.is_set():
                client.search(*task)
