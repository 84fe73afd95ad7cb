"""Pages of metrics, and the list of stored results."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar, get_args

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from controlplane.core.actors import Actor
from controlplane.core.pages import environment as environments
from controlplane.core.pages.records import RecordAdmin, RecordForm
from controlplane.core.pages.rows import ReadOnlyAdmin
from controlplane.evidence import selectors, services
from controlplane.evidence.models import Analysis, Metric
from controlplane.evidence.population import OutcomeType

KINDS = (
    ("proportion", "the share of units with an event"),
    ("mean", "an average over all units"),
)
AGGREGATIONS = (
    ("any", "at least one event"),
    ("retention", "at least one event after the delay"),
    ("count", "how many events"),
    ("sum", "the total of their values"),
)


class MetricForm(RecordForm):
    """A definition as one sentence."""

    environment = forms.ChoiceField(label="In use in", help_text="The definition counts there from now on.")
    kind = forms.ChoiceField(choices=KINDS, label="It is")
    aggregation = forms.ChoiceField(choices=AGGREGATIONS, label="Of each unit it takes")
    event_type = forms.ChoiceField(
        choices=[(kind, kind) for kind in get_args(OutcomeType)], initial="conversion", label="Of events"
    )
    name = forms.CharField(
        required=False, max_length=64, label="Called", help_text="Such as add_to_cart; empty for every name."
    )
    direction = forms.ChoiceField(
        choices=(("increase", "more is better"), ("decrease", "less is better")), label="Of which"
    )
    unit = forms.CharField(required=False, max_length=32, label="Unit", help_text="Such as EUR.")
    delay_hours = forms.FloatField(
        min_value=0, initial=0, required=False, label="Counted from so many hours after exposure"
    )
    window_hours = forms.FloatField(
        min_value=0,
        required=False,
        label="Until so many hours after exposure",
        help_text="Empty: until the analysis ends.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        where = self.fields["environment"]
        assert isinstance(where, forms.ChoiceField)
        where.choices = [(one.key, one.name) for one in environments.choices()]

    def content(self) -> dict[str, Any]:
        values = self.cleaned_data
        return {
            **{field: values[field] for field in ("kind", "aggregation", "event_type", "direction", "unit")},
            "name": values["name"] or None,
            "value_field": "value" if values["aggregation"] == "sum" else None,
            "delay_hours": values["delay_hours"] or 0.0,
            "window_hours": values["window_hours"],
        }

    @classmethod
    def initial_from(cls, content: Mapping[str, Any]) -> dict[str, Any]:
        return {**content, "name": content["name"] or ""}


@admin.register(Metric)
class MetricAdmin(RecordAdmin):
    """Numbers per unit that people agreed on."""

    record_form = MetricForm
    create_operation: ClassVar[str] = "evidence.create_metric"
    save_operation: ClassVar[str] = "evidence.save_metric"
    view_permission: ClassVar[str] = "evidence.view"
    list_display = ("title", "key", "definition", "in_use", "owner")
    search_fields = ("key", "title", "owner")
    ordering = ("key",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Metric]:
        return selectors.metrics()

    def create(self, form: RecordForm, *, actor: Actor, at: datetime) -> Metric:
        values = form.cleaned_data
        return services.create_metric(
            key=values["key"], title=values["title"], owner=values["owner"], content=form.content(),
            environment=values["environment"], note=values["note"], actor=actor, at=at,
        )  # fmt: skip

    def save(
        self, record: Any, form: RecordForm, *, actor: Actor, at: datetime, expects: int | None
    ) -> Metric:
        values = form.cleaned_data
        return services.save_metric(
            metric=record, title=values["title"], owner=values["owner"], content=form.content(),
            environment=values["environment"], note=values["note"], actor=actor, at=at, expects=expects,
        )  # fmt: skip

    def state(self, record: Any, environment: str) -> tuple[str, str]:
        live = record.live(environment)
        return (f"In use, version {live.number}", "good") if live else ("Not in use here", "neutral")

    @admin.display(description="Definition")
    def definition(self, record: Metric) -> str:
        newest = max(record.versions.all(), key=lambda version: version.number, default=None)
        if newest is None:
            return "–"
        content = newest.content
        kinds, takes = dict(KINDS), dict(AGGREGATIONS)
        return f"{kinds[content['kind']]}: {takes[content['aggregation']]}, {content['name'] or content['event_type']}"

    @admin.display(description="In use in")
    def in_use(self, record: Metric) -> str:
        return ", ".join(sorted(pointer.environment for pointer in record.pointers.all())) or "–"


@admin.register(Analysis)
class AnalysisAdmin(ReadOnlyAdmin):
    """Stored results; each is shown in full on the page of what it is about."""

    view_permission: ClassVar[str] = "evidence.view"
    list_display = ("subject", "environment", "as_of", "method", "lake_version", "created_by", "created_at")
    list_filter = ("environment",)
    search_fields = ("subject",)
    ordering = ("-id",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Analysis]:
        rows: QuerySet[Analysis] = super().get_queryset(request)
        return rows.defer("sql")
