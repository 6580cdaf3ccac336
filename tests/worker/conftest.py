from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.fixtures import gate, installation, redis, redis_options, template  # noqa: F401
from tests.support.installation import Installation
from worker import runtime
from worker.runtime import Runtime


@pytest.fixture
def worker(installation: Installation) -> Iterator[Runtime]:  # noqa: F811
    """Turn this process into a worker, in the state that a forked child would find."""
    loaded = Runtime(installation.app)
    loaded.refresh()
    runtime.use(loaded)
    yield loaded
    loaded.close()
