"""Pages of kill switches: what stands thrown, throwing one in two steps, asking for its release."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from controlplane.core.errors import DomainError
from controlplane.core.operations import subject_of
from controlplane.core.pages import environment as environments
from controlplane.core.pages.records import actor_may_here, may_somewhere
from controlplane.core.pages.rows import ReadOnlyAdmin
from controlplane.core.pages.site import actor_of
from controlplane.core.selectors import history_of
from governance.guardrails import selectors, services
from governance.guardrails.forms import ThrowForm, suggested_key
from governance.guardrails.models import KillSwitch


class StandingFilter(admin.SimpleListFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("thrown", "Thrown"), ("released", "Released")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return (
            queryset
            if self.value() is None
            else queryset.filter(released_at__isnull=self.value() == "thrown")
        )


@admin.register(KillSwitch)
class KillSwitchAdmin(ReadOnlyAdmin):
    view_permission = "guardrails.view"
    list_display = ("key", "state", "kind", "touches", "reason", "thrown_at", "thrown_by")
    list_filter = (StandingFilter, "environment", "kind")
    search_fields = ("key", "reason", "rule")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return may_somewhere(request, "guardrails.throw_kill_switch")

    @admin.display(description="State")
    def state(self, switch: KillSwitch) -> SafeString:
        word, tone = _state(switch)
        return format_html('<span class="cp-state cp-state--{}">{}</span>', tone, word)

    @admin.display(description="Touches")
    def touches(self, switch: KillSwitch) -> str:
        return _touches(switch)

    def get_urls(self) -> list[URLPattern]:
        own = path(
            "<path:object_id>/release/",
            self.admin_site.admin_view(self.release_view),
            name="guardrails_killswitch_release",
        )
        return [own, *super().get_urls()]

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """Throw: say what, look at what it touches, then throw."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        where, now = environments.current(request), datetime.now(UTC)
        form = ThrowForm(request.POST or None, initial={"key": suggested_key(now), **request.GET.dict()})
        reach = None
        if request.method == "POST" and form.is_valid():
            values = form.values()
            if "confirm" in request.POST:
                thrown = self._throw(request, form, where=where, at=now)
                if thrown is not None:
                    return thrown
            else:
                asked = {name: values[name] for name in ("items", "rule", "surfaces")}
                reach = selectors.switch_reach(where, **asked)
        context = {
            **self.admin_site.each_context(request),
            "title": "Throw a kill switch",
            "opts": None,
            "form": form,
            "reach": reach,
            "rules": selectors.live_rules(where),
            "chosen": dict(KillSwitch.Kind.choices).get(form["kind"].value(), ""),
        }
        return TemplateResponse(request, "guardrails/throw.html", context)

    def _throw(
        self, request: HttpRequest, form: ThrowForm, *, where: str, at: datetime
    ) -> HttpResponse | None:
        try:
            switch, revision = services.throw_kill_switch(
                environment=where, actor=actor_of(request), at=at, **form.values()
            )
        except DomainError as error:
            for problem in error.errors:
                field = problem.field if problem.field in form.fields else None
                form.add_error(field, problem.sentence)
            if not error.errors:
                form.add_error(None, error.detail)
            return None
        messages.success(request, f"{switch.key} is thrown. Ruleset revision {revision} carries it.")
        return HttpResponseRedirect(reverse("admin:guardrails_killswitch_change", args=[switch.pk]))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        return self._page(request, self._switch(request, object_id))

    def release_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask to release; loosening takes two people, and the refusal says who else must agree."""
        switch = self._switch(request, object_id)
        problem: DomainError | None = None
        if request.method == "POST":
            seen = request.POST.get("expects", "")
            try:
                services.release_kill_switch(
                    switch=switch, actor=actor_of(request), at=datetime.now(UTC),
                    expects=int(seen) if seen.isdigit() else None,
                )  # fmt: skip
            except DomainError as error:
                problem = error
            else:
                messages.success(request, f"{switch.key} is released.")
                return HttpResponseRedirect(reverse("admin:guardrails_killswitch_change", args=[switch.pk]))
        return self._page(request, switch, releasing=True, problem=problem)

    def _switch(self, request: HttpRequest, object_id: str) -> KillSwitch:
        switch: KillSwitch | None = self.get_object(request, object_id)
        if switch is None:
            switch = KillSwitch.objects.filter(key=object_id).first()
        if switch is None:
            raise Http404(f"there is no kill switch {object_id}")
        if not self.has_view_permission(request):
            raise PermissionDenied
        return switch

    def _page(
        self,
        request: HttpRequest,
        switch: KillSwitch,
        *,
        releasing: bool = False,
        problem: DomainError | None = None,
    ) -> HttpResponse:
        word, tone = _state(switch)
        reach = selectors.switch_reach(
            switch.environment, items=switch.items, rule=switch.rule, surfaces=switch.surfaces
        )
        context = {
            **self.admin_site.each_context(request),
            "title": switch.key,
            "opts": None,
            "switch": switch,
            "state": word,
            "tone": tone,
            "reach": reach,
            "releasing": releasing,
            "problem": problem,
            "may_release": switch.released_at is None
            and actor_may_here(actor_of(request), "guardrails.release_kill_switch", switch),
            "history": history_of(subject_of(switch)),
        }
        return TemplateResponse(
            request, "guardrails/killswitch.html", context, status=200 if problem is None else 409
        )


def _state(switch: KillSwitch) -> tuple[str, str]:
    return ("Thrown", "bad") if switch.released_at is None else ("Released", "neutral")


def _touches(switch: KillSwitch) -> str:
    where = ", ".join(switch.surfaces) or "every surface"
    if switch.kind == KillSwitch.Kind.DISABLE_RULE:
        return f"{switch.rule} on {where}"
    if switch.kind == KillSwitch.Kind.BLOCK_ITEMS:
        return f"{len(switch.items):,} item{'' if len(switch.items) == 1 else 's'} on {where}"
    return where
