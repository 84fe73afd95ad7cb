"""Pages of guardrails: the rule in words, what it stops now, and putting it live."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.safestring import SafeString

from controlplane.core.actors import Actor
from controlplane.core.errors import DomainError
from controlplane.core.pages import environment as environments
from controlplane.core.pages.records import PagePart, RecordAdmin, RecordForm, Verb
from controlplane.rulesets import selectors as rulesets
from governance.guardrails import rules, selectors, services, showing
from governance.guardrails.forms import GuardrailForm
from governance.guardrails.models import Guardrail
from governance.guardrails.switch_admin import KillSwitchAdmin

__all__ = ["GuardrailAdmin", "KillSwitchAdmin"]


class StageFilter(admin.SimpleListFilter):
    title = "stage"
    parameter_name = "stage"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("live", "Live"), ("shadow", "Shadow"), ("draft", "Not live")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen, where = self.value(), environments.current(request)
        if chosen == "draft":
            return queryset.exclude(pointers__environment=where)
        return queryset.filter(live_content__status=chosen) if chosen else queryset


def consequence(record: Guardrail, environment: str) -> str:
    """What publishing the newest version will do, in numbers."""
    newest = record.newest()
    content = newest.content
    served = selectors.surfaces_served(environment)
    touched = [key for key in served if not content["surfaces"] or key in content["surfaces"]]
    stage = "watches and stops nothing" if content["status"] == "shadow" else "takes effect"
    return (
        f"Version {newest.number} {stage}: {rules.sentence(content)}."
        f" {showing.reach_words(content, selectors.reach(content))}"
        f" It covers {showing.count(len(touched), 'surface')} served here. {_carried(environment)}"
    )


def withdrawal(record: Guardrail, environment: str) -> str:
    """What taking the guardrail out of service will let through."""
    live = record.live(environment)
    if live is None:
        return ""
    found = selectors.reach(live.content)
    return (
        f"Version {live.number} is served no longer: {rules.sentence(live.content)}. It concerns"
        f" {showing.count(found.tripped, 'item')} now, which may be shown again. {_carried(environment)}"
    )


def _carried(environment: str) -> str:
    head = rulesets.head(environment)
    programs = showing.count(rulesets.readers(environment), "program")
    return f"Ruleset revision {head.number + 1 if head else 1} will carry it to {programs} that may read this environment."


@admin.register(Guardrail)
class GuardrailAdmin(RecordAdmin):
    record_form = GuardrailForm
    page_template = "guardrails/guardrail.html"
    create_operation = "guardrails.create_guardrail"
    save_operation = "guardrails.save_guardrail"
    view_permission = "guardrails.view"
    verbs = (
        Verb(
            "guardrails.publish_guardrail",
            "Publish",
            services.publish_guardrail,
            shown=lambda record, where: record.newest() != record.live(where),
            consequence=consequence,
            style="primary",
        ),
        Verb(
            "guardrails.withdraw_guardrail",
            "Withdraw",
            services.withdraw_guardrail,
            shown=lambda record, where: record.live(where) is not None,
            consequence=withdrawal,
            style="danger",
        ),
    )
    list_display = ("guardrail", "stage", "what", "owner")
    list_filter = (StageFilter,)
    search_fields = ("key", "title", "owner")
    ordering = ("key",)

    def create(self, form: RecordForm, *, actor: Actor, at: datetime) -> Guardrail:
        given = form.cleaned_data
        return services.create_guardrail(
            key=given["key"], title=given["title"], owner=given["owner"], content=form.content(), note=given["note"],
            actor=actor, at=at,
        )  # fmt: skip

    def save(
        self, record: Any, form: RecordForm, *, actor: Actor, at: datetime, expects: int | None
    ) -> Guardrail:
        given = form.cleaned_data
        return services.save_guardrail(
            record, title=given["title"], owner=given["owner"], content=form.content(), note=given["note"],
            actor=actor, at=at, expects=expects,
        )  # fmt: skip

    def state(self, record: Any, environment: str) -> tuple[str, str]:
        live = record.live(environment)
        return _stage(live and live.content, live and live.number, record.newest().number)

    def parts_above(self, request: HttpRequest, record: Any) -> Sequence[PagePart]:
        live = record.live(environments.current(request))
        status = live.content["status"] if live else "draft"
        return [PagePart("guardrails/parts/track.html", {"stages": showing.track(status)})]

    def parts_beside(self, request: HttpRequest, record: Any | None) -> Sequence[PagePart]:
        context: dict[str, Any] = {}
        if record is not None:
            context = _reach(record.newest().content)
        return [PagePart("guardrails/parts/reach_panel.html", context)]

    # --- the list ----------------------------------------------------------------------------------------------------
    def get_queryset(self, request: HttpRequest) -> QuerySet[Guardrail]:
        return selectors.listed(environments.current(request))

    @admin.display(description="Guardrail", ordering="title")
    def guardrail(self, record: Guardrail) -> SafeString:
        return format_html('{} <span class="cp-quiet">{}</span>', record.title, record.key)

    @admin.display(description="Stage")
    def stage(self, record: Any) -> SafeString:
        word, tone = _stage(record.live_content, record.live_number, record.newest_number)
        return format_html('<span class="cp-state cp-state--{}">{}</span>', tone, word)

    @admin.display(description="What")
    def what(self, record: Any) -> str:
        return rules.sentence(record.live_content or record.newest_content)

    # --- what it stops now -------------------------------------------------------------------------------------------
    def get_urls(self) -> list[URLPattern]:
        own = path("reach/", self.admin_site.admin_view(self.reach_view), name="guardrails_guardrail_reach")
        return [own, *super().get_urls()]

    def reach_view(self, request: HttpRequest) -> HttpResponse:
        """How many items the posted form's guardrail concerns now: the panel's inside. Writes nothing."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        form = GuardrailForm(request.POST)
        form.is_valid()
        unready = [
            f"{form[name].label}: {each}"
            for name, errors in form.errors.items()
            if name in form.fields and name not in (*form.first_fields, "reason")
            for each in errors
        ]
        context: dict[str, Any] = {"problems": unready}
        if not unready:
            context = _reach(form.content() | {"reason": form.cleaned_data.get("reason") or "reach"})
        return TemplateResponse(request, "guardrails/parts/reach.html", {"part": context})


def _reach(content: Mapping[str, Any]) -> dict[str, Any]:
    """Context of the reach panel: the count in words and the signal's spread, or what is wrong."""
    try:
        whole = services.judge(content)
    except DomainError as error:
        return {
            "problems": [f"{_label(one.field)}: {one.sentence}" for one in error.errors] or [error.detail]
        }
    found = selectors.reach(whole)
    return {
        "reach": found,
        "sentence": rules.sentence(whole),
        "words": showing.reach_words(whole, found),
        "bars": showing.bars(whole, found),
        "signal": whole["signal"],
        "threshold": whole["threshold"],
        "line": showing.threshold_line(whole, found),
    }


def _label(path: str) -> str:
    """The words that stand at the form field a content path belongs to."""
    name = GuardrailForm().field_of(path)
    return str(GuardrailForm.base_fields[name].label or name).capitalize() if name else path


def _stage(live: Mapping[str, Any] | None, number: int | None, newest: int) -> tuple[str, str]:
    """A guardrail's stage in the environment in view, as a word with a tone."""
    if live is None:
        return "Not live here", "neutral"
    waits = f", version {newest} waits" if newest != number else ""
    return (f"Live{waits}", "good") if live["status"] == "live" else (f"Shadow{waits}", "warning")
