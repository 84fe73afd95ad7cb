"""Operations on experiments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from controlplane.catalog import selectors as catalog
from controlplane.catalog.services.conditions import check_condition
from controlplane.core import record_operations, surfaces
from controlplane.core.actors import Actor
from controlplane.core.errors import Conflict, FieldError, InvalidInput, Stale
from controlplane.core.operations import operation
from controlplane.core.record_operations import check_environment
from controlplane.core.registry import register
from controlplane.evidence import selectors as evidence
from controlplane.evidence import services as evidence_services
from controlplane.evidence.models import Analysis
from controlplane.evidence.plan import AnalysisRequest
from experiments import analysis, rules
from experiments.lifecycle import Status, move
from experiments.models import Experiment, Phase


@register("experiments.create_experiment", title="Create an experiment")
def create_experiment(
    *,
    key: str,
    title: str,
    owner: str,
    content: Mapping[str, Any],
    actor: Actor,
    at: datetime,
    note: str = "",
) -> Experiment:
    """A new draft with its first version. Raises InvalidInput, or Conflict when the key is taken."""
    return record_operations.create(
        "experiments.create_experiment", Experiment, key=key, title=title, owner=owner, content=content, judge=judge,
        actor=actor, at=at, note=note, surfaces=surfaces.named(content),
    )  # fmt: skip


@register("experiments.save_experiment", title="Save a new version of an experiment")
def save_experiment(
    experiment: Experiment,
    *,
    actor: Actor,
    at: datetime,
    expects: int | None = None,
    title: str | None = None,
    owner: str | None = None,
    content: Mapping[str, Any] | None = None,
    note: str = "",
) -> Experiment:
    """Add a version. While the experiment runs, what randomisation rests on cannot change: raises Conflict naming it."""

    def allowed(row: Experiment, whole: dict[str, Any] | None) -> None:
        if row.status == Status.RUNNING and whole is not None:
            _refuse_bias(running_phase(row).version.content, row.newest().content, whole)
        if row.imported and whole is not None and rules.biasing_changes(row.newest().content, whole):
            raise Conflict(
                "The arms and units of an imported experiment are what was logged; they cannot be edited."
            )

    return record_operations.save(
        "experiments.save_experiment", experiment, judge=judge, actor=actor, at=at, expects=expects, title=title,
        owner=owner, content=content, note=note, surfaces=surfaces.of_save(experiment, content), allowed=allowed,
    )  # fmt: skip


def _refuse_bias(started: Mapping[str, Any], newest: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    changed = rules.biasing_changes(started, wanted)
    if changed:
        raise Conflict(
            f"While the experiment runs, {', '.join(changed)} cannot change: units would move between arms.",
            errors=[
                FieldError(
                    f"content.{name}",
                    "is fixed while it runs",
                    "Stop it, save, and start it: a new phase begins.",
                )
                for name in changed
            ],
        )
    if newest["coverage"] != wanted["coverage"]:
        raise Conflict(
            "Coverage of a running experiment changes by ramping.",
            errors=[FieldError("content.coverage", "changes by ramping", "Use ramp.")],
        )


@register("experiments.start_experiment", title="Start an experiment", publishes=True)
def start_experiment(
    experiment: Experiment,
    *,
    environment: str,
    actor: Actor,
    at: datetime,
    version: int | None = None,
    expects: int | None = None,
) -> Experiment:
    """Run it in the environment. From draft this is phase 1; from stopped, a new phase with a new salt.

    Running already elsewhere, the same phase begins here too. Raises Conflict when it runs here or was imported.
    """
    with operation(
        "experiments.start_experiment", experiment, by=actor, at=at, expects=expects, environment=environment
    ) as row:
        check_environment(environment)
        if row.imported:
            raise Conflict("An imported experiment ran elsewhere; it cannot be started here.")
        if row.live(environment) is not None:
            raise Conflict(f"{row.key} runs in {environment} already.")
        chosen = row.newest() if version is None else row.versions.filter(number=version).first()
        if chosen is None:
            raise InvalidInput.on(
                "version", f"there is no version {version}", f"Choose 1 to {row.newest().number}."
            )
        surfaces.check_reach("experiments.start_experiment", chosen.content, actor)
        _check_metrics(chosen.content, environment)
        if row.status == Status.RUNNING:
            changed = rules.biasing_changes(running_phase(row).version.content, chosen.content)
            if changed:
                raise Conflict(
                    f"It runs elsewhere with other {', '.join(changed)}; one phase has one design."
                )
        else:
            row.status, row.phase = move(row.status, to=Status.RUNNING), row.phase + 1
            row.save(update_fields=["status", "phase"])
            Phase.objects.create(experiment=row, number=row.phase, version=chosen, started_at=at)
        row.point(environment, chosen, at=at)
    return experiment


@register("experiments.ramp_experiment", title="Change an experiment's coverage", publishes=True)
def ramp_experiment(
    experiment: Experiment,
    *,
    environment: str,
    coverage: int,
    actor: Actor,
    at: datetime,
    expects: int | None = None,
) -> Experiment:
    """Enrol more or fewer units, in 1/10,000 of the traffic. Growing keeps every enrolled unit in its arm."""
    with operation(
        "experiments.ramp_experiment", experiment, by=actor, at=at, expects=expects, environment=environment,
        arguments={"coverage": coverage},
    ) as row:  # fmt: skip
        live = row.live(environment)
        if live is None:
            raise Conflict(f"{row.key} does not run in {environment}.")
        content = rules.check({**live.content, "coverage": coverage})
        if live.content["coverage"] == coverage:
            raise Conflict(f"Coverage is {coverage} already.")
        ramped = row.add_version(content, by=actor.name, at=at, note=f"coverage {coverage / 100:g} %")
        row.point(environment, ramped, at=at)
    return experiment


@register("experiments.stop_experiment", title="Stop an experiment", publishes=True)
def stop_experiment(
    experiment: Experiment, *, environment: str, actor: Actor, at: datetime, expects: int | None = None
) -> Experiment:
    """Enrol and treat nobody any more in the environment; the phase ends when it runs nowhere. Raises Conflict."""
    with operation(
        "experiments.stop_experiment", experiment, by=actor, at=at, expects=expects, environment=environment
    ) as row:
        check_environment(environment)
        if not row.unpoint(environment):
            raise Conflict(f"{row.key} does not run in {environment}.")
        if not row.pointers.exists():
            row.status = move(row.status, to=Status.STOPPED)
            row.save(update_fields=["status"])
            Phase.objects.filter(experiment=row, number=row.phase).update(ended_at=at)
    return experiment


@register("experiments.import_experiment", title="Import an experiment that ran elsewhere")
def import_experiment(
    *,
    key: str,
    title: str,
    owner: str,
    content: Mapping[str, Any],
    started_at: datetime,
    ended_at: datetime,
    actor: Actor,
    at: datetime,
    sizes_fixed: bool = False,
    unit_note: str = "",
) -> Experiment:
    """A stopped experiment of one phase whose exposures were logged elsewhere. Raises InvalidInput, Conflict."""
    with operation.create(
        "experiments.import_experiment", by=actor, model=Experiment, at=at, surfaces=surfaces.named(content)
    ) as created:
        record_operations.check_identity(key=key, title=title, owner=owner, note="")
        whole = judge(content)
        experiment = created(
            Experiment.objects.create(
                key=key, title=title, owner=owner, created_at=at, status=Status.STOPPED, phase=1, imported=True,
                sizes_fixed=sizes_fixed, unit_note=unit_note,
            )
        )  # fmt: skip
        version = experiment.add_version(whole, by=actor.name, at=at, note="imported")
        Phase.objects.create(
            experiment=experiment, number=1, version=version, started_at=started_at, ended_at=ended_at
        )
    return experiment


def analyse_experiment(
    experiment: Experiment,
    *,
    environment: str,
    actor: Actor,
    at: datetime,
    as_of: datetime | None = None,
    expects: int | None = None,
) -> Analysis:
    """Analyse its newest phase from the lake and keep the result, by evidence's own operation.

    Raises Conflict before the first phase, Stale, InvalidInput for a metric not in use, Forbidden.
    """
    if expects is not None and expects != experiment.row_version:
        raise Stale(
            f"{experiment.subject} is at version {experiment.row_version}; you saw {expects}",
            extra={"row_version": experiment.row_version, "expected": expects},
        )
    if as_of is not None and as_of > at:
        raise InvalidInput.on("as_of", "is in the future", "Name a moment that has passed, or leave it out.")
    request = analysis_request(experiment, environment=environment, until=as_of or at)
    return evidence_services.run_analysis(request=request, actor=actor, at=at)


def analysis_request(experiment: Experiment, *, environment: str, until: datetime) -> AnalysisRequest:
    """What an analysis of the newest phase asks. Raises Conflict when there is none."""
    phase = experiment.phases.order_by("-number").select_related("version").first()
    if phase is None:
        raise Conflict("It has not started; there is nothing to analyse yet.")
    if until <= phase.started_at:
        raise InvalidInput.on(
            "as_of", "lies before the phase began", f"Name a moment after {phase.started_at.isoformat()}."
        )
    content = {**experiment.newest().content, "arms": phase.version.content["arms"]}
    _check_metrics(content, environment)
    metrics = evidence.live_specs(content["metrics"], environment=environment)
    return analysis.request(
        experiment, phase, content=content, metrics=metrics, environment=environment, until=until
    )


def running_phase(experiment: Experiment) -> Phase:
    """The phase that runs now."""
    return experiment.phases.select_related("version").get(number=experiment.phase)


def judge(content: Mapping[str, Any]) -> dict[str, Any]:
    """The content as stored. Raises InvalidInput for its shape, its condition and what it names."""
    whole = rules.check(content)
    errors = [
        *_missing("content.surfaces", "surface", catalog.missing_surfaces(whole["surfaces"])),
        *_missing(
            "content.audience",
            "audience",
            catalog.missing_audiences([whole["audience"]] if whole["audience"] else []),
        ),
        *_missing("content.metrics", "metric", evidence.missing_metrics(whole["metrics"])),
    ]
    if errors:
        raise InvalidInput("The experiment names things that do not exist.", errors=errors)
    if whole["condition"]:
        check_condition(whole["condition"], "request", "content.condition")
    return whole


def _missing(field: str, what: str, keys: Iterable[str]) -> list[FieldError]:
    named = ", ".join(keys)
    remedy = f"Name an existing {what}, or add it first."
    return [FieldError(field, f"there is no {what} {named}", remedy)] if named else []


def _check_metrics(content: Mapping[str, Any], environment: str) -> None:
    missing = evidence.metrics_not_in_use(content["metrics"], environment=environment)
    if missing:
        raise InvalidInput.on(
            "content.metrics",
            f"{', '.join(missing)} is not in use in {environment}",
            "Define the metric there first.",
        )
