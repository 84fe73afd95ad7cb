"""Prometheus metrics of the web process, and the page that shows them."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from prometheus_client import CONTENT_TYPE_LATEST, Histogram, generate_latest

REQUEST_SECONDS = Histogram(
    "controlplane_request_seconds",
    "Duration of web requests in seconds.",
    ["method", "route", "status"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)


def metrics(request: HttpRequest) -> HttpResponse:
    """The exposition format, for a scraper inside the network."""
    return HttpResponse(generate_latest(), content_type=CONTENT_TYPE_LATEST)
