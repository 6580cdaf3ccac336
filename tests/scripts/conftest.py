from tests.support.fixtures import template  # noqa: F401
