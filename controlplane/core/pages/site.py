"""The admin site: home, search across records, the environment switch, sign-in that is written to the security log."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from axes.helpers import get_client_ip_address
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from unfold.sites import UnfoldAdminSite

from controlplane.core import security
from controlplane.core.actors import Actor
from controlplane.core.models import OpenFinding, User
from controlplane.core.pages import environment, home
from controlplane.core.requests import request_id


def actor_of(request: HttpRequest) -> Actor:
    """The signed-in person as an actor. Only for pages behind the sign-in."""
    assert isinstance(request.user, User)
    return Actor.of_user(request.user).with_request(request_id(request))


class ControlPlaneSite(UnfoldAdminSite):
    site_title = "Control plane"
    site_header = "Recommender control plane"
    index_title = "Home"
    login_template = "core/login.html"

    def has_permission(self, request: HttpRequest) -> bool:
        """Any active person; what they may see and do follows from their roles, page by page."""
        return bool(request.user.is_active and request.user.is_authenticated)

    def extra_urls(self) -> list[URLPattern]:
        return [path("environment/", self.admin_view(environment.switch), name="switch_environment")]

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        # The palette is a stylesheet of ours: unfold would write it into the page, which the content policy refuses.
        return {**super().each_context(request), "colors": None, **environment.context(request)}

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        now = datetime.now(UTC)
        actor = actor_of(request)
        where = environment.current(request)
        context = {
            **self.each_context(request),
            "title": "Home",
            "panels": home.panels(actor, environment=where, at=now),
            "findings": list(
                OpenFinding.objects.filter(resolved_at__isnull=True, environment__in=["", where]).order_by(
                    "-severity", "-last_seen_at"
                )[:8]
            ),
            "roles": sorted(actor.roles),
            "as_of": now,
            **(extra_context or {}),
        }
        return TemplateResponse(request, "core/home.html", context)

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        response: HttpResponse = super().login(request, extra_context)
        if request.method == "POST":
            signed_in = request.user.is_authenticated
            refused = "login_locked" if getattr(request, "axes_locked_out", False) else "login_failed"
            security.record(
                "login" if signed_in else refused,
                at=datetime.now(UTC),
                actor=actor_of(request) if signed_in else None,
                name=request.POST.get("username", "")[:150],
                address=get_client_ip_address(request) or "",
            )
        return response

    def logout(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if request.method == "POST" and request.user.is_authenticated:
            security.record("logout", at=datetime.now(UTC), actor=actor_of(request))
            logout(request)
        return HttpResponseRedirect("/login/")
