"""The web group's addresses. Apps are named as strings; each brings its own REST routes and pages."""

from __future__ import annotations

from importlib.util import find_spec

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, URLResolver, include, path
from django.views.decorators.csrf import csrf_exempt
from drf_spectacular.views import SpectacularJSONAPIView

from controlplane.core.api.problems import plain_problem
from controlplane.core.health import healthz, readyz
from controlplane.core.metrics import metrics

# Apps that bring REST routes (`<app>.api.urls`) and pages of their own (`<app>.pages`), first match wins.
API = [
    "controlplane.core.api.urls",
    "controlplane.catalog.api.urls",
    "controlplane.events.api.urls",
    "controlplane.rulesets.api.urls",
    "controlplane.evidence.api.urls",
    "experiments.api.urls",
    "overrides.api.urls",
    "governance.guardrails.api.urls",
]


def _exists(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


@csrf_exempt  # there is nothing here that a forged request could do
def no_such_route(request: HttpRequest, rest: str) -> HttpResponse:
    """Below /api/ nobody is sent to the login page, whatever they ask for."""
    return plain_problem(request, status=404, code="not_found", detail=f"There is nothing at {request.path}.")


urlpatterns: list[URLPattern | URLResolver] = [
    path("healthz", healthz),
    path("readyz", readyz),
    path("metrics", metrics),
    path("api/v1/openapi.json", SpectacularJSONAPIView.as_view(), name="openapi"),
    *(path("api/v1/", include(module)) for module in API if _exists(module)),
    path("api/<path:rest>", no_such_route),
    path("", admin.site.urls),
]


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Unknown addresses: a problem for programs; Django's page template for people."""
    return plain_problem(request, status=404, code="not_found", detail=f"There is nothing at {request.path}.")


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """What Django itself refuses before any view, such as a host name that is not ours."""
    return plain_problem(
        request, status=400, code="invalid_input", detail="The request cannot be served as it is."
    )


def server_error(request: HttpRequest) -> HttpResponse:
    """What broke is in the log, under the request id."""
    return plain_problem(
        request, status=500, code="internal", detail="Something broke on our side; it has been logged."
    )


handler400 = "controlplane.urls.bad_request"
handler404 = "controlplane.urls.not_found"
handler500 = "controlplane.urls.server_error"
