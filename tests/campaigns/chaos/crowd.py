"""Many clients at once, each with the next search that is due."""

from __future__ import annotations

import gc
import queue
import random
import threading
import time
from collections import deque
from collections.abc import Sequence

from tests.campaigns.chaos.clients import Client, Door
from tests.campaigns.chaos.tickets import Ticket


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
        self._later: deque[tuple[float, str, int]] = deque()
        self._due: queue.SimpleQueue[tuple[str, int] | None] = queue.SimpleQueue()

    def start(self, name: str, pictures: Sequence[int], seconds: float, seed: int) -> None:
        """Be ready to search with these pictures, at moments spread over so many `seconds`, to the very last.

        `name` begins every submission's token.
        """
        self._due = queue.SimpleQueue()
        rng = random.Random(f"{seed} searches")
        moments = [*sorted(rng.uniform(0.0, seconds) for _ in pictures[1:]), seconds]
        numbered = enumerate(zip(moments, pictures, strict=True))
        self._later = deque((at, f"{name}-{number:06}", picture) for number, (at, picture) in numbered)
        self._threads = [threading.Thread(target=self._work, args=(client,)) for client in self._clients]
        for thread in self._threads:
            thread.start()

    def release(self, seconds: float) -> int:
        """Let begin what is due so many seconds after the start; return how much nobody has begun yet."""
        while self._later and self._later[0][0] <= seconds:
            _, name, picture = self._later.popleft()
            self._due.put((name, picture))
        return self._due.qsize()

    def finish(self, seconds: float) -> bool:
        """Wait until all searches have ended, and let everybody go; False where some had not in time."""
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
        """Let everybody go at once."""
        self._ending.set()
        for _ in self._threads:
            self._due.put(None)
        for thread in self._threads:
            thread.join()
        self._threads = []

    def look_once_more(self, seconds: float) -> None:
        """Let everybody see, within so many seconds, whether what they were told still holds."""
        stopping = threading.Timer(seconds, self._ending.set)
        stopping.start()
        for client in self._clients:
            client.look_once_more()
        stopping.cancel()
        gc.collect()  # a connection is closed with its last owner, and a failed request's traceback is one

    def _work(self, client: Client) -> None:
        while (task := self._due.get()) is not None:
            if not self._ending.is_set():
                client.search(*task)
