"""Pages of overrides: the list, the form in a sentence with its preview, and putting a rule live."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.safestring import SafeString

from controlplane.catalog import selectors as catalog
from controlplane.core.actors import Actor
from controlplane.core.errors import DomainError
from controlplane.core.pages import environment as environments
from controlplane.core.pages.records import PagePart, RecordAdmin, RecordForm, Verb
from controlplane.rulesets import selectors as rulesets
from overrides import rules, selectors, services, showing, windows
from overrides.forms import OverrideForm, PreviewForm, surface_choices
from overrides.models import Override

PHASES: Mapping[str, tuple[str, str]] = {
    "active": ("Live", "good"),
    "scheduled": ("Scheduled", "warning"),
    "expired": ("Expired", "bad"),
}


class StateFilter(admin.SimpleListFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [*((phase, word) for phase, (word, _) in PHASES.items()), ("draft", "Not live")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen, where = self.value(), environments.current(request)
        if chosen is not None and chosen in PHASES:
            return queryset.filter(pk__in=selectors.in_phase(where, chosen, at=datetime.now(UTC)))
        return queryset.exclude(pointers__environment=where) if chosen == "draft" else queryset


class KindFilter(admin.SimpleListFilter):
    title = "kind"
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(kind, kind.capitalize()) for kind in rules.TYPES]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(newest_content__type=self.value()) if self.value() else queryset


class SurfaceFilter(admin.SimpleListFilter):
    title = "surface"
    parameter_name = "surface"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return surface_choices()

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = self.value()
        return queryset.filter(newest_content__surfaces__contains=[chosen]) if chosen else queryset


def consequence(record: Override, environment: str) -> str:
    """What publishing the newest version will do, in numbers."""
    newest = record.newest()
    content = newest.content
    served = selectors.surfaces_served(environment)
    touched = [key for key in served if not content["surfaces"] or key in content["surfaces"]]
    stocked = selectors.in_stock(content["items"])
    named = (
        f" It names {_count(len(content['items']), 'item')}, {stocked} of them in stock."
        if content["items"]
        else " It acts on every item that matches its condition."
    )
    ends = showing.window_words(content)
    return (
        f"Version {newest.number} goes live: {rules.sentence(content)}, {ends}."
        f" It touches {_count(len(touched), 'surface')} served here{_listed(touched)}.{named} {_carried(environment)}"
    )


def withdrawal(record: Override, environment: str) -> str:
    """What taking the rule out of service will do."""
    live = record.live(environment)
    if live is None:
        return ""
    return (
        f"Version {live.number} is served no longer: {rules.sentence(live.content)}. {_carried(environment)}"
    )


def _carried(environment: str) -> str:
    head = rulesets.head(environment)
    number = head.number + 1 if head else 1
    readers = rulesets.readers(environment)
    return f"Ruleset revision {number} will carry it to {_count(readers, 'program')} that may read this environment."


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _listed(keys: Sequence[str]) -> str:
    return f" ({', '.join(keys[:4])}{' and more' if len(keys) > 4 else ''})" if keys else ""


@admin.register(Override)
class OverrideAdmin(RecordAdmin):
    record_form = OverrideForm
    page_template = "overrides/override.html"
    create_operation = "overrides.create_override"
    save_operation = "overrides.save_override"
    view_permission = "overrides.view"
    verbs = (
        Verb(
            "overrides.publish_override",
            "Publish",
            services.publish_override,
            shown=lambda record, where: record.newest() != record.live(where),
            consequence=consequence,
            style="primary",
        ),
        Verb(
            "overrides.withdraw_override",
            "Withdraw",
            services.withdraw_override,
            shown=lambda record, where: record.live(where) is not None,
            consequence=withdrawal,
            style="danger",
        ),
    )
    list_display = ("rule", "state_here", "what", "window", "owner")
    list_display_links = ("rule",)
    list_filter = (StateFilter, KindFilter, SurfaceFilter)
    search_fields = ("key", "title", "owner")
    ordering = ("key",)

    def create(self, form: RecordForm, *, actor: Actor, at: datetime) -> Override:
        given = form.cleaned_data
        return services.create_override(
            key=given["key"], title=given["title"], owner=given["owner"], content=form.content(), note=given["note"],
            actor=actor, at=at,
        )  # fmt: skip

    def save(
        self, record: Any, form: RecordForm, *, actor: Actor, at: datetime, expects: int | None
    ) -> Override:
        given = form.cleaned_data
        return services.save_override(
            record, title=given["title"], owner=given["owner"], content=form.content(), note=given["note"],
            actor=actor, at=at, expects=expects,
        )  # fmt: skip

    def state(self, record: Any, environment: str) -> tuple[str, str]:
        live = record.live(environment)
        return _state(live and live.content, live and live.number, record.newest().number)

    def parts_beside(self, request: HttpRequest, record: Any | None) -> Sequence[PagePart]:
        where = environments.current(request)
        served = selectors.surfaces_served(where)
        context: dict[str, Any] = {"surfaces": served, "audiences": catalog.audiences(), "environment": where}
        context["key"] = record.key if record else ""
        if record is not None and served:
            newest = record.newest()
            context |= self._preview(
                where, key=record.key, number=newest.number, content=newest.content, asked={}
            )
            context["surface"] = context["preview"].surface if context.get("preview") else ""
        return [PagePart("overrides/parts/preview.html", context)]

    # --- the list ----------------------------------------------------------------------------------------------------
    def get_queryset(self, request: HttpRequest) -> QuerySet[Override]:
        return selectors.listed(environments.current(request))

    @admin.display(description="Rule", ordering="title")
    def rule(self, record: Override) -> SafeString:
        return format_html('{} <span class="cp-quiet">{}</span>', record.title, record.key)

    @admin.display(description="State")
    def state_here(self, record: Any) -> SafeString:
        word, tone = _state(record.live_content, record.live_number, record.newest_number)
        return format_html('<span class="cp-state cp-state--{}">{}</span>', tone, word)

    @admin.display(description="What")
    def what(self, record: Any) -> str:
        return rules.sentence(record.live_content or record.newest_content)

    @admin.display(description="When")
    def window(self, record: Any) -> str:
        return showing.window_words(record.live_content or record.newest_content)

    # --- the preview -------------------------------------------------------------------------------------------------
    def get_urls(self) -> list[URLPattern]:
        own = path(
            "preview/", self.admin_site.admin_view(self.preview_view), name="overrides_override_preview"
        )
        return [own, *super().get_urls()]

    def preview_view(self, request: HttpRequest) -> HttpResponse:
        """The draft in the posted form against what is served: a whole page, or its core for a script. Writes nothing."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        rule, asked = OverrideForm(request.POST), PreviewForm(request.POST)
        rule.is_valid()
        asked.is_valid()
        unready = {name: rule.errors[name] for name in rule.errors if name not in rule.first_fields}
        unready.pop("reason", None)
        context: dict[str, Any] = {
            "problems": [
                *(
                    f"{rule[name].label}: {each}"
                    for name, errors in unready.items()
                    if name in rule.fields
                    for each in errors
                ),
                *(each for errors in asked.errors.values() for each in errors),
            ]
        }
        if not context["problems"]:
            content = rule.content() | {"reason": rule.cleaned_data.get("reason") or "preview"}
            context |= self._preview(
                environments.current(request), key=asked.cleaned_data["preview_key"] or "draft", number=0, content=content,
                asked=asked.cleaned_data,
            )  # fmt: skip
        if request.headers.get("X-Requested-With") == "fetch":
            return TemplateResponse(request, "overrides/parts/slates.html", {"part": context})
        page = {
            **self.admin_site.each_context(request), "title": "Preview", "opts": None, "part": context, "form": rule,
        }  # fmt: skip
        return TemplateResponse(request, "overrides/preview.html", page)

    def _preview(
        self, where: str, *, key: str, number: int, content: Mapping[str, Any], asked: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Context of the slates' template: the preview as people see it, or what stands in its way."""
        now = datetime.now(UTC)
        try:
            whole = services.judge(content)
            zone = whole["time_zone"]
            moment = windows.to_utc(asked.get("preview_at", ""), zone)
            served = selectors.surfaces_served(where)
            there = [one for one in served if not whole["surfaces"] or one in whole["surfaces"]] or served
            question = selectors.Question(
                surface=asked.get("preview_surface") or next(iter(there), ""),
                at=datetime.fromisoformat(moment) if moment else rules.showtime(whole, at=now),
                context=asked.get("preview_context") or {},
                candidates=asked.get("preview_candidates") or (),
                members_of=[one for one in [asked.get("preview_audience"), whole["when"]["audience"]] if one],
            )
            found = selectors.preview_draft(
                where, key=key, number=number, content=whole, question=question, now=now
            )
        except windows.WindowError as error:
            return {"problems": [str(error)]}
        except DomainError as error:
            lines = [f"{_label(one.field)}: {one.sentence}" for one in error.errors]
            return {"problems": lines or [error.detail]}
        return {
            "preview": found,
            "shown": showing.shown(found, zone=zone),
            "sampled": not question.candidates,
        }


def _label(path: str) -> str:
    """The words that stand at the form field a content path belongs to."""
    name = OverrideForm().field_of(path)
    return str(OverrideForm.base_fields[name].label or name).capitalize() if name else path


def _state(live: Mapping[str, Any] | None, number: int | None, newest: int) -> tuple[str, str]:
    """A rule's state in the environment in view, as a word with a tone."""
    if live is None:
        return "Not live here", "neutral"
    word, tone = PHASES[rules.phase(live, at=datetime.now(UTC))]
    waits = f", version {newest} waits" if newest != number else ""
    return f"{word}{waits}", tone
