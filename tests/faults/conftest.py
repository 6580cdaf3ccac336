"""Fixtures of the fault tests: a whole installation, and an index."""

from tests.support.fixtures import gate, installation, redis, redis_options, template  # noqa: F401
from tests.support.index import encoder, index, other_encoder, weights  # noqa: F401
from tests.support.privileges import public_folder  # noqa: F401
