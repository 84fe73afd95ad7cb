"""Pages of experiments."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from controlplane.core.actors import Actor
from controlplane.core.pages import environment as environments
from controlplane.core.pages.records import PagePart, RecordAdmin, RecordForm
from controlplane.evidence import selectors as evidence
from experiments import selectors, services
from experiments.lifecycle import Status
from experiments.models import Experiment
from experiments.pages import imported, results, words
from experiments.pages.forms import ExperimentForm
from experiments.pages.verbs import VERBS


@admin.register(Experiment)
class ExperimentAdmin(RecordAdmin):
    """Result first, then the design as sentences."""

    record_form = ExperimentForm
    create_operation: ClassVar[str] = "experiments.create_experiment"
    save_operation: ClassVar[str] = "experiments.save_experiment"
    view_permission: ClassVar[str] = "experiments.view"
    page_template: ClassVar[str] = "experiments/experiment.html"
    verbs = VERBS
    list_display = ("title", "key", "standing", "surfaces", "primary_metric", "owner")
    list_filter = ("status", "imported")
    search_fields = ("key", "title", "owner")
    ordering = ("imported", "-created_at", "key")  # what one works on before what others published

    def get_queryset(self, request: HttpRequest) -> QuerySet[Experiment]:
        return selectors.listed()

    def create(self, form: RecordForm, *, actor: Actor, at: datetime) -> Experiment:
        values = form.cleaned_data
        return services.create_experiment(
            key=values["key"], title=values["title"], owner=values["owner"], content=form.content(), note=values["note"],
            actor=actor, at=at,
        )  # fmt: skip

    def save(
        self, record: Any, form: RecordForm, *, actor: Actor, at: datetime, expects: int | None
    ) -> Experiment:
        values = form.cleaned_data
        return services.save_experiment(
            record, title=values["title"], owner=values["owner"], content=form.content(), note=values["note"],
            actor=actor, at=at, expects=expects,
        )  # fmt: skip

    def state(self, record: Any, environment: str) -> tuple[str, str]:
        live = record.live(environment)
        if live is not None:
            return f"Running, {words.share(live.content['coverage'])}", "good"
        if record.imported:
            return "Imported", "neutral"
        if record.status == Status.RUNNING:
            return "Running elsewhere", "warning"
        return str(record.get_status_display()), "neutral"

    def parts_above(self, request: HttpRequest, record: Any) -> Sequence[PagePart]:
        now, where = datetime.now(UTC), environments.current(request)
        phase = selectors.newest_phase(record)
        content = selectors.content_in(record, where)
        if record.imported and (published := imported.context(record, content)):
            return [PagePart("experiments/parts/imported.html", published)]
        analysis = evidence.latest_analysis(record.subject, environment=where)
        if analysis is None or phase is None or analysis.population["phase"] != phase.number:
            return [PagePart("experiments/parts/no_result.html", {"record": record, "phase": phase})]
        shown = results.context(record, analysis, phase, content, at=now)
        return [PagePart("experiments/parts/result.html", {**shown, "record": record})]

    @admin.display(description="Status", ordering="status")
    def standing(self, record: Experiment) -> str:
        where = ", ".join(sorted(pointer.environment for pointer in record.pointers.all()))
        if record.imported:
            return "Imported"
        return f"Running in {where}" if where else str(record.get_status_display())

    @admin.display(description="Surfaces")
    def surfaces(self, record: Experiment) -> str:
        content = _newest(record)
        return ", ".join(content["surfaces"]) if content and content["surfaces"] else "every surface"

    @admin.display(description="Primary metric")
    def primary_metric(self, record: Experiment) -> str:
        content = _newest(record)
        return str(content["primary_metric"]) if content else "–"


def _newest(record: Experiment) -> dict[str, Any] | None:
    newest = max(record.versions.all(), key=lambda version: version.number, default=None)
    return newest.content if newest else None
