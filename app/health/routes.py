"""For those who watch over the site: load balancers, monitoring."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify
from flask.typing import ResponseReturnValue
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from app.health import metrics
from app.health.checks import CHECKS
from model.version import version

bp = Blueprint("health", __name__)


@bp.get("/healthz")
def alive() -> ResponseReturnValue:
    """The process answers, and says which version it runs; nothing else is looked at."""
    return jsonify(status="ok", vitrine=version())


@bp.get("/readyz")
def ready() -> ResponseReturnValue:
    """Whether a search that comes now is carried out now.

    While Redis alone is away, pages work and searches wait: a load balancer should rather ask ``/healthz``.
    """
    results = {name: check() for name, check in CHECKS.items()}
    fit = all(result.ok for result in results.values())
    checks = {name: result._asdict() for name, result in results.items()}
    return jsonify(status="ready" if fit else "not ready", checks=checks), 200 if fit else 503


@bp.get("/metrics")
def show_metrics() -> Response:
    """Figures for Prometheus; none of them is about a person."""
    return Response(generate_latest(metrics.registry()), content_type=CONTENT_TYPE_LATEST)
