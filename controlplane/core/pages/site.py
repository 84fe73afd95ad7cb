"""The admin site: home, search across records, the environment switch, sign-in that is written to the security log."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from axes.helpers import get_client_ip_address
from django import forms
from django.contrib.auth import logout, update_session_auth_hash
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from unfold.sites import UnfoldAdminSite
from unfold.widgets import UnfoldAdminPasswordWidget

from controlplane.core import security, services
from controlplane.core.actors import Actor
from controlplane.core.errors import DomainError
from controlplane.core.models import OpenFinding, User
from controlplane.core.pages import environment, home
from controlplane.core.requests import request_id


def actor_of(request: HttpRequest) -> Actor:
    """The signed-in person as an actor. Only for pages behind the sign-in."""
    assert isinstance(request.user, User)
    return Actor.of_user(request.user).with_request(request_id(request))


class PasswordForm(forms.Form):
    old_password = forms.CharField(
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "current-password"})
    )
    new_password = forms.CharField(
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
        help_text="At least 12 characters, not only digits, not a common one.",
    )


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

    def password_change(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """A person's own password, changed by the operation; they stay signed in here and nowhere else."""
        form = PasswordForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            assert isinstance(request.user, User)
            try:
                user = services.change_own_password(
                    user=User.objects.get(pk=request.user.pk),  # the request's own is a lazy stand-in
                    old=form.cleaned_data["old_password"],
                    new=form.cleaned_data["new_password"],
                    actor=actor_of(request),
                    at=datetime.now(UTC),
                )
            except DomainError as error:
                for problem in error.errors:
                    form.add_error(problem.field if problem.field in form.fields else None, problem.sentence)
                if not error.errors:
                    form.add_error(None, error.detail)
            else:
                update_session_auth_hash(request, user)
                return HttpResponseRedirect("/password_change/done/")
        context = {
            **self.each_context(request),
            "title": "Change your password",
            "form": form,
            "submit": "Change it",
            "list_address": "/",
            "list_title": "home",
            **(extra_context or {}),
        }
        return TemplateResponse(request, "core/form.html", context)

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
