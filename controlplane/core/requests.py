"""What every web request carries: an id that follows it through logs, audit events and answers, and a measured duration."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable

import structlog
from django.http import HttpRequest, HttpResponse

from controlplane.core.metrics import REQUEST_SECONDS

log = structlog.get_logger("controlplane.requests")
_ACCEPTABLE = re.compile(r"^[A-Za-z0-9._-]{8,64}$")
_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})
_QUIET = ("/healthz", "/readyz", "/metrics", "/static/")


def request_id(request: HttpRequest) -> str:
    """The id of the request; empty outside one."""
    return getattr(request, "control_plane_request_id", "")


class RequestMiddleware:
    """Takes `X-Request-Id` where it is well formed, makes one otherwise, and logs one line per request."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.headers.get("X-Request-Id", "")
        identifier = given if _ACCEPTABLE.match(given) else uuid.uuid4().hex
        request.control_plane_request_id = identifier  # type: ignore[attr-defined]  # the one attribute we add to requests
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=identifier)
        started = time.perf_counter()
        response = self.get_response(request)
        elapsed = time.perf_counter() - started
        response["X-Request-Id"] = identifier
        route = getattr(request.resolver_match, "route", None) or "unmatched"
        method = request.method if request.method in _METHODS else "other"
        REQUEST_SECONDS.labels(method, route, response.status_code).observe(elapsed)
        if not request.path.startswith(_QUIET):
            log.info(
                "request",
                method=request.method,
                path=request.path,
                status=response.status_code,
                ms=round(elapsed * 1e3, 1),
            )
        return response
