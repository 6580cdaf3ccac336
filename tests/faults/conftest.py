from tests.support.installation import gate, installation, redis, redis_options, template  # noqa: F401
