"""Endpoints for load balancers and monitoring."""

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
    """Report that the process answers, and which version it runs; nothing else is checked."""
    return jsonify(status="ok", vitrine=version())


@bp.get("/readyz")
def ready() -> ResponseReturnValue:
    """Report whether a search that is made now would run now.

    Without Redis, pages still work and searches wait, so a load balancer should use ``/healthz``.
    """
    results = {name: check() for name, check in CHECKS.items()}
    is_ready = all(result.ok for result in results.values())
    checks = {name: result._asdict() for name, result in results.items()}
    return jsonify(status="ready" if is_ready else "not ready", checks=checks), 200 if is_ready else 503


@bp.get("/metrics")
def show_metrics() -> Response:
    """Return the Prometheus metrics, which contain nothing about individual users."""
    return Response(generate_latest(metrics.registry()), content_type=CONTENT_TYPE_LATEST)
