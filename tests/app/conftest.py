from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask

from tests.support.web import Browser


@pytest.fixture
def context(app: Flask) -> Iterator[Flask]:
    """For what is called within the application and not through its pages."""
    with app.app_context():
        yield app


@pytest.fixture
def maria(client: Browser) -> Browser:
    """A browser that is signed in to a new account."""
    client.signup()
    assert client.logged_in()
    return client
