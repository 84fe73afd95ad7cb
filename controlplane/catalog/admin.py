"""Pages of the catalogue: surfaces, audiences, environments, items and the attribute dictionary."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from controlplane.catalog import selectors, services
from controlplane.catalog.forms import (
    AttributeForm,
    AudienceForm,
    EnvironmentForm,
    NewAttributeForm,
    NewEnvironmentForm,
    SurfaceForm,
)
from controlplane.catalog.models import Attribute, Audience, Environment, Item, Surface
from controlplane.core.actors import Actor
from controlplane.core.admin import OperationPages, show_refusal
from controlplane.core.errors import DomainError
from controlplane.core.operations import subject_of
from controlplane.core.pages.records import RecordAdmin, RecordForm, Verb, may_somewhere
from controlplane.core.pages.rows import ReadOnlyAdmin
from controlplane.core.pages.site import actor_of
from controlplane.core.selectors import history_of


def _publishing(noun: str, publish: Callable[..., Any], withdraw: Callable[..., Any]) -> tuple[Verb, Verb]:
    """The two verbs every kind of catalogue record has."""
    return (
        Verb(
            f"catalog.publish_{noun}",
            "Publish",
            publish,
            shown=lambda record, where: record.newest() != record.live(where),
            consequence=lambda record, where: (
                f"Version {record.newest().number} of {record.title} goes live in {where}; every program that reads"
                f" its ruleset gets it within seconds."
            ),
            style="primary",
        ),
        Verb(
            f"catalog.withdraw_{noun}",
            "Withdraw",
            withdraw,
            shown=lambda record, where: record.live(where) is not None,
            consequence=lambda record, where: (
                f"{record.title} leaves the ruleset of {where}; rules that name this {noun} are reported as dangling."
            ),
            style="danger",
        ),
    )


class CatalogueRecordAdmin(RecordAdmin):
    """What surfaces and audiences have in common; lists read what their selector has at hand."""

    create_function: ClassVar[Callable[..., Any]]
    save_function: ClassVar[Callable[..., Any]]
    list_display = ("record", "state_here", "summary", "owner")
    list_display_links = ("record",)
    search_fields = ("key", "title", "owner")
    ordering = ("key",)
    view_permission = "catalog.view"

    def create(self, form: RecordForm, *, actor: Actor, at: datetime) -> Any:
        given = form.cleaned_data
        return type(self).create_function(
            key=given["key"], title=given["title"], owner=given["owner"], content=form.content(),
            note=given["note"], actor=actor, at=at,
        )  # fmt: skip

    def save(self, record: Any, form: RecordForm, *, actor: Actor, at: datetime, expects: int | None) -> Any:
        given = form.cleaned_data
        return type(self).save_function(
            record, title=given["title"], owner=given["owner"], content=form.content(), note=given["note"],
            actor=actor, at=at, expects=expects,
        )  # fmt: skip

    @admin.display(description="Name", ordering="title")
    def record(self, record: Any) -> SafeString:
        return format_html('{} <span class="cp-quiet">{}</span>', record.title, record.key)

    @admin.display(description="Live in")
    def state_here(self, record: Any) -> SafeString:
        live = sorted(f"{one.environment} (version {one.version.number})" for one in record.pointers.all())
        tone, words = ("good", ", ".join(live)) if live else ("neutral", "Nowhere")
        return format_html('<span class="cp-state cp-state--{}">{}</span>', tone, words)

    @admin.display(description="What")
    def summary(self, record: Any) -> str:
        newest = max(record.versions.all(), key=lambda version: version.number, default=None)
        return self.words(newest.content) if newest else ""

    def words(self, content: dict[str, Any]) -> str:
        """The content in a few words."""
        raise NotImplementedError


@admin.register(Surface)
class SurfaceAdmin(CatalogueRecordAdmin):
    record_form = SurfaceForm
    create_operation = "catalog.create_surface"
    save_operation = "catalog.save_surface"
    create_function = staticmethod(services.create_surface)
    save_function = staticmethod(services.save_surface)
    verbs = _publishing("surface", services.publish_surface, services.withdraw_surface)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Surface]:
        return selectors.surfaces()

    def words(self, content: dict[str, Any]) -> str:
        flags = [word for word in ("sensitive", "minors") if content[word]]
        kind = content["kind"].replace("-", " ")
        return ", ".join(
            [f"{kind}, {content['slots']} slots, {len(content['fallback'])} fallback items", *flags]
        )


@admin.register(Audience)
class AudienceAdmin(CatalogueRecordAdmin):
    record_form = AudienceForm
    create_operation = "catalog.create_audience"
    save_operation = "catalog.save_audience"
    create_function = staticmethod(services.create_audience)
    save_function = staticmethod(services.save_audience)
    verbs = _publishing("audience", services.publish_audience, services.withdraw_audience)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Audience]:
        return selectors.audiences()

    def words(self, content: dict[str, Any]) -> str:
        return str(content["condition"])[:120]


class EditedRowPages(OperationPages):
    """Rows without versions, each edited by one form; the version seen travels along."""

    save_operation: ClassVar[str]
    edit_form: ClassVar[type[forms.Form]]

    def saved(self, request: HttpRequest, row: Any, values: dict[str, Any], expects: int | None) -> Any:
        """Carry out the save operation."""
        raise NotImplementedError

    def initial(self, row: Any) -> dict[str, Any]:
        """The form's values for a row."""
        return {name: getattr(row, name) for name in self.edit_form.base_fields}

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        row = self.get_object(request, object_id)
        if row is None or not self.has_view_permission(request):
            raise Http404
        form = self.edit_form(request.POST or None, initial=self.initial(row))
        form.fields["expects"] = forms.IntegerField(
            widget=forms.HiddenInput(), initial=row.row_version, required=False
        )
        if request.method == "POST":
            if not may_somewhere(request, self.save_operation):
                raise PermissionDenied
            if form.is_valid():
                values = {name: form.cleaned_data[name] for name in self.edit_form.base_fields}
                try:
                    self.saved(request, row, values, form.cleaned_data["expects"])
                except DomainError as error:
                    show_refusal(form, error)
                else:
                    messages.success(request, f"{row} is saved.")
                    return HttpResponseRedirect(self._list())
        history = history_of(subject_of(row))
        return self.form_page(request, form, title=str(row), submit="Save", history=history)

    def _list(self) -> str:
        return reverse(f"admin:{self.model._meta.app_label}_{self.model._meta.model_name}_changelist")

    def told(self, request: HttpRequest, row: Any) -> HttpResponse:
        """Back to the list, with a word that the row is there."""
        messages.success(request, f"{row} is created.")
        return HttpResponseRedirect(self._list())


@admin.register(Environment)
class EnvironmentAdmin(EditedRowPages):
    view_permission = "catalog.view"
    create_operation = "catalog.create_environment"
    save_operation = "catalog.save_environment"
    create_form = NewEnvironmentForm
    edit_form = EnvironmentForm
    create_title = "New environment"
    list_display = ("name", "key", "kind", "protected")
    search_fields = ("name", "key")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Environment]:
        return selectors.environments()

    def created(self, request: HttpRequest, form: forms.Form) -> HttpResponse:
        made = services.create_environment(**form.cleaned_data, actor=actor_of(request), at=datetime.now(UTC))
        return self.told(request, made)

    def saved(self, request: HttpRequest, row: Any, values: dict[str, Any], expects: int | None) -> Any:
        return services.save_environment(
            row, **values, actor=actor_of(request), at=datetime.now(UTC), expects=expects
        )


@admin.register(Attribute)
class AttributeAdmin(EditedRowPages):
    view_permission = "catalog.view"
    create_operation = "catalog.create_attribute"
    save_operation = "catalog.save_attribute"
    create_form = NewAttributeForm
    edit_form = AttributeForm
    create_title = "New attribute"
    list_display = (
        "name",
        "subject_kind",
        "type",
        "private",
        "examples",
        "seen_count",
        "last_seen_at",
        "source",
    )
    list_filter = ("subject_kind", "type", "private", "source")
    search_fields = ("name", "description")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Attribute]:
        return selectors.attributes()

    @admin.display(description="Values seen")
    def examples(self, attribute: Attribute) -> str:
        if attribute.private:
            return "private"
        more = "…" if len(attribute.values_seen) > 4 else ""
        return ", ".join(str(value)[:24] for value in attribute.values_seen[:4]) + more

    def created(self, request: HttpRequest, form: forms.Form) -> HttpResponse:
        made = services.create_attribute(**form.cleaned_data, actor=actor_of(request), at=datetime.now(UTC))
        return self.told(request, made)

    def saved(self, request: HttpRequest, row: Any, values: dict[str, Any], expects: int | None) -> Any:
        return services.save_attribute(
            row, **values, actor=actor_of(request), at=datetime.now(UTC), expects=expects
        )


class PresentFilter(admin.SimpleListFilter):
    title = "catalogue"
    parameter_name = "deleted"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "Deleted items")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Item]) -> QuerySet[Item]:
        return queryset.filter(deleted_at__isnull=self.value() != "yes")


@admin.register(Item)
class ItemAdmin(ReadOnlyAdmin):
    """Items are stated by their owners in bulk (`POST /api/v1/items/bulk`); here they are looked up."""

    view_permission = "catalog.view"
    list_display = ("title_and_id", "picture", "provider", "available", "licensed_in", "updated_at")
    list_display_links = ("title_and_id",)
    list_filter = (PresentFilter, "available")
    search_fields = ("item_id", "title", "provider")
    ordering = ("item_id",)

    @admin.display(description="Item", ordering="title")
    def title_and_id(self, item: Item) -> SafeString:
        return format_html('{} <span class="cp-key">{}</span>', item.title, item.item_id)

    @admin.display(description="Picture")
    def picture(self, item: Item) -> SafeString | str:
        if not item.image_url:
            return "—"
        return format_html('<img src="{}" alt="" width="40" height="40" loading="lazy">', item.image_url)

    @admin.display(description="Licensed in")
    def licensed_in(self, item: Item) -> str:
        return "everywhere" if item.regions is None else ", ".join(item.regions)
