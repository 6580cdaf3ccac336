from tests.support.installation import template  # noqa: F401
