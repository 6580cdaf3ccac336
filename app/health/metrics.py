"""Prometheus metrics: requests as they are answered, and the state of searches, queue and gallery."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import cast

import sqlalchemy as sa
from flask import Flask, Response, current_app, g, request
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from app import queue
from app.database import Search, SearchStatus
from app.extensions import db
from app.gallery.current import gallery_info

METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 30.0)


class StateCollector(Collector):
    """Query the database, the queue and the catalog when Prometheus asks."""

    def collect(self) -> Iterator[Metric]:
        """Yield the gauges; the queue depth is left out while Redis is unavailable."""
        searches = GaugeMetricFamily("vitrine_searches", "Stored searches, by status", labels=["status"])
        counted = sa.select(Search.status, sa.func.count()).group_by(Search.status)
        found = {status: count for status, count in db.session.execute(counted)}  # noqa: C416
        for status in SearchStatus:
            searches.add_metric([status.value], found.get(status, 0))
        yield searches
        depth = queue.depth()
        if depth is not None:
            yield GaugeMetricFamily("vitrine_queue_depth", "Jobs waiting in Redis", value=depth)
        yield GaugeMetricFamily(
            "vitrine_gallery_pictures", "Pictures in the index", value=gallery_info().count
        )


class Metrics:
    """The metrics of one application."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        labels = ["method", "route", "status"]
        self.requests = Counter("vitrine_requests", "Requests answered", labels, registry=self.registry)
        self.seconds = Histogram(
            "vitrine_request_seconds", "Time to answer", ["route"], buckets=BUCKETS, registry=self.registry
        )
        self.in_progress = Gauge(
            "vitrine_requests_in_progress", "Requests being answered", registry=self.registry
        )
        self.registry.register(StateCollector())
        ProcessCollector(registry=self.registry)


def init_app(app: Flask) -> None:
    """Count and time requests by route."""
    metrics = app.extensions["vitrine_metrics"] = Metrics()

    app.before_request(lambda: metrics.in_progress.inc())
    app.teardown_request(lambda _error: metrics.in_progress.dec())

    @app.after_request
    def observe(response: Response) -> Response:
        route = request.url_rule.rule if request.url_rule else "none"
        method = request.method if request.method in METHODS else "other"  # clients may invent methods
        metrics.requests.labels(method, route, response.status_code).inc()
        metrics.seconds.labels(route).observe(time.perf_counter() - g.began)
        return response


def registry() -> CollectorRegistry:
    """Return the registry of the current application."""
    return cast(Metrics, current_app.extensions["vitrine_metrics"]).registry
