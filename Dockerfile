# One image for the web process, the worker and every `flask` command.
#
#   docker build -t vitrine .
#
# It runs as an unprivileged user and writes only to /data and /tmp; compose.yaml mounts everything else read-only.
# It uses Debian's Python, which gets its security updates with the base image.
FROM debian:bookworm-slim AS packages
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*
COPY requirements.lock /tmp/requirements.lock
RUN python3 -m venv /opt/vitrine/.venv \
    && /opt/vitrine/.venv/bin/pip install --no-cache-dir --disable-pip-version-check --no-input \
        --only-binary=:all: --require-hashes --requirement /tmp/requirements.lock \
    && /opt/vitrine/.venv/bin/pip uninstall --yes --quiet pip

FROM debian:bookworm-slim
# postgresql-client: pg_dump and pg_restore, which `flask backup` and `flask restore` call on PostgreSQL.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates postgresql-client python3 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin vitrine \
    && install --directory --owner vitrine --group vitrine --mode 0700 /data
COPY --from=packages /opt/vitrine/.venv /opt/vitrine/.venv
COPY . /opt/vitrine
# Compile now, because the folder is read-only later.
RUN /opt/vitrine/.venv/bin/python -m compileall -q -j 0 /opt/vitrine
WORKDIR /opt/vitrine
ENV PATH=/opt/vitrine/.venv/bin:$PATH \
    APP_ENV=production \
    DATA_DIR=/data \
    HOST=0.0.0.0 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER vitrine
VOLUME /data
EXPOSE 8000
# Any response except a server error counts as healthy: with TRUSTED_HOSTS set, a request for 127.0.0.1 gets 400.
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s CMD ["python", "-c", "import http.client, sys; \
    c = http.client.HTTPConnection('127.0.0.1', 8000, timeout=4); c.request('GET', '/healthz'); \
    sys.exit(c.getresponse().status >= 500)"]
CMD ["python", "wsgi.py"]
