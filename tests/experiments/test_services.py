"""Operations on experiments, both sides of permission, against a real database."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from controlplane.core.actors import Actor
from controlplane.core.errors import Conflict, Forbidden, InvalidInput, Stale
from controlplane.core.models import AuditEvent, SecurityEvent
from controlplane.evidence import services as evidence
from controlplane.evidence.models import Metric
from experiments import services, tasks
from experiments.lifecycle import Status
from experiments.models import Experiment, Phase
from tests.experiments.making import ANALYST, METRICS, NOW, START, VIEWER, content, draft, published, started

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("_ground")]
HERE: dict[str, Any] = {"environment": "production", "actor": ANALYST, "at": NOW}


def audited(experiment: Experiment) -> list[str]:
    rows = AuditEvent.objects.filter(subject=experiment.subject).order_by("id")
    return list(rows.values_list("operation", flat=True))


def phases(experiment: Experiment) -> list[tuple[int, int, Any]]:
    return [(p.number, p.version.number, p.ended_at) for p in experiment.phases.order_by("number")]


def test_journey__create_start_ramp_stop_start__one_audit_event_each() -> None:
    experiment = draft()
    assert (experiment.status, experiment.phase, experiment.newest().number) == (Status.DRAFT, 0, 1)
    services.start_experiment(experiment, **HERE)
    assert (experiment.status, experiment.phase, phases(experiment)) == (Status.RUNNING, 1, [(1, 1, None)])
    services.ramp_experiment(experiment, coverage=4_000, **HERE)
    assert experiment.live("production").content["coverage"] == 4_000
    assert phases(experiment) == [(1, 1, None)]
    services.stop_experiment(experiment, **HERE)
    assert (experiment.status, experiment.live("production"), phases(experiment)) == (
        Status.STOPPED,
        None,
        [(1, 1, NOW)],
    )
    services.start_experiment(experiment, **HERE)
    assert (experiment.phase, phases(experiment)) == (2, [(1, 1, NOW), (2, 2, None)])
    assert audited(experiment) == [
        f"experiments.{verb}_experiment" for verb in ("create", "start", "ramp", "stop", "start")
    ]


ACTS: dict[str, tuple[Callable[[], Experiment], Callable[..., Any]]] = {
    "save": (draft, lambda row, actor: services.save_experiment(row, title="New", actor=actor, at=NOW)),
    "start": (draft, lambda row, actor: services.start_experiment(row, **{**HERE, "actor": actor})),
    "ramp": (
        started,
        lambda row, actor: services.ramp_experiment(row, coverage=1, **{**HERE, "actor": actor}),
    ),
    "stop": (started, lambda row, actor: services.stop_experiment(row, **{**HERE, "actor": actor})),
}


@pytest.mark.parametrize("verb", ACTS)
def test_operation__by_an_analyst__is_done(verb: str) -> None:
    make, act = ACTS[verb]
    row = make()
    before = row.row_version
    act(row, ANALYST)
    assert (row.row_version, audited(row)[-1]) == (before + 1, f"experiments.{verb}_experiment")


@pytest.mark.parametrize("verb", ACTS)
def test_operation__by_a_viewer__changes_nothing_but_the_security_log(verb: str) -> None:
    make, act = ACTS[verb]
    row = make()
    before, trail = (row.audit_snapshot(), row.row_version), audited(row)
    with pytest.raises(Forbidden):
        act(row, VIEWER)
    row.refresh_from_db()
    assert ((row.audit_snapshot(), row.row_version), audited(row)) == (before, trail)
    assert list(SecurityEvent.objects.values_list("operation", flat=True)) == [
        f"experiments.{verb}_experiment"
    ]


def test_create__by_a_viewer__nothing_written() -> None:
    with pytest.raises(Forbidden):
        services.create_experiment(key="x", title="X", owner="vic", content=content(), actor=VIEWER, at=NOW)
    assert not Experiment.objects.exists()


def test_create__key_taken__conflict_naming_it() -> None:
    draft()
    with pytest.raises(Conflict) as refused:
        draft()
    assert refused.value.errors[0].field == "key"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"surfaces": ["nowhere"]}, "content.surfaces"),
        ({"audience": "nobody"}, "content.audience"),
        ({"primary_metric": "joy"}, "content.metrics"),
    ],
)
def test_create__names_what_is_not_there__names_the_field(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        draft(**changes)
    assert [error.field for error in refused.value.errors] == [field]
    assert not Experiment.objects.exists()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"arms": [{"key": "a", "weight": 5000}, {"key": "b", "weight": 5000}]}, "content.arms"),
        ({"surfaces": ["search"]}, "content.surfaces"),
        ({"audience": "gold"}, "content.audience"),
        ({"coverage": 5_000}, "content.coverage"),
    ],
)
def test_save__running_and_biasing__conflict_naming_the_field(changes: dict[str, Any], field: str) -> None:
    experiment = started()
    with pytest.raises(Conflict) as refused:
        services.save_experiment(experiment, content=content(**changes), actor=ANALYST, at=NOW)
    assert [error.field for error in refused.value.errors] == [field]
    assert experiment.newest().number == 1


def test_save__running_and_harmless__a_version_that_is_not_served_until_started() -> None:
    experiment = started()
    services.save_experiment(experiment, content=content(hypothesis="Much more."), actor=ANALYST, at=NOW)
    assert (experiment.newest().number, experiment.live("production").number) == (2, 1)


def test_save__another_version_seen__stale() -> None:
    experiment = started()
    with pytest.raises(Stale):
        services.save_experiment(experiment, title="New", actor=ANALYST, at=NOW, expects=1)


def test_start__runs_here_already__conflict() -> None:
    with pytest.raises(Conflict, match="runs in production already"):
        services.start_experiment(started(), **HERE)


@pytest.mark.parametrize(
    ("given", "field"),
    [({"environment": "nowhere"}, "environment"), ({"version": 9}, "version")],
)
def test_start__no_such_environment_or_version__names_the_field(given: dict[str, Any], field: str) -> None:
    experiment = draft()
    with pytest.raises(InvalidInput) as refused:
        services.start_experiment(experiment, **{**HERE, **given})
    assert refused.value.errors[0].field == field
    experiment.refresh_from_db()
    assert (experiment.status, Phase.objects.exists()) == (Status.DRAFT, False)


def test_start__metric_not_in_use_there__names_it() -> None:
    with pytest.raises(InvalidInput) as refused:
        services.start_experiment(draft(), **{**HERE, "environment": "staging"})
    assert "purchase, revenue is not in use in staging" in refused.value.errors[0].message


def test_start__elsewhere_with_the_same_design__the_same_phase_until_it_runs_nowhere() -> None:
    experiment = started()
    for key in ("purchase", "revenue"):
        evidence.save_metric(
            metric=Metric.objects.get(key=key),
            content=METRICS[key],
            environment="staging",
            actor=ANALYST,
            at=NOW,
        )
    services.start_experiment(experiment, **{**HERE, "environment": "staging"})
    assert phases(experiment) == [(1, 1, None)]
    services.stop_experiment(experiment, **HERE)
    assert (experiment.status, phases(experiment)) == (Status.RUNNING, [(1, 1, None)])
    services.stop_experiment(experiment, **{**HERE, "environment": "staging"})
    assert (experiment.status, phases(experiment)) == (Status.STOPPED, [(1, 1, NOW)])


@pytest.mark.parametrize("coverage", [-1, 10_001])
def test_ramp__outside_the_whole__names_the_field(coverage: int) -> None:
    with pytest.raises(InvalidInput) as refused:
        services.ramp_experiment(started(), coverage=coverage, **HERE)
    assert refused.value.errors[0].field == "content.coverage"


@pytest.mark.parametrize("verb", ["ramp", "stop"])
def test_ramp_and_stop__not_running_here__conflict(verb: str) -> None:
    with pytest.raises(Conflict, match="does not run in production"):
        ACTS[verb][1](draft(), ANALYST)


def test_import__ran_elsewhere__stopped_in_phase_one_and_never_started_here() -> None:
    experiment = published(sizes_fixed=True, note="A row is a unit.")
    assert (experiment.status, experiment.phase, experiment.imported, experiment.unit_note) == (
        Status.STOPPED, 1, True, "A row is a unit.",
    )  # fmt: skip
    assert phases(experiment) == [(1, 1, NOW)]
    with pytest.raises(Conflict, match="ran elsewhere"):
        services.start_experiment(experiment, **HERE)
    with pytest.raises(Conflict, match="are what was logged"):
        services.save_experiment(experiment, content=content(surfaces=[]), actor=ANALYST, at=NOW)


def test_save_and_start__role_of_one_surface__reaches_no_other_and_never_every_surface() -> None:
    home = Actor(kind="user", id="3", name="hal", grants=frozenset({("analyst", "home-feed")}))
    experiment = draft(surfaces=["home-feed"])
    services.save_experiment(
        experiment, content=content(surfaces=["home-feed"], coverage=5_000), actor=home, at=NOW
    )
    for surfaces in (["search"], ["home-feed", "search"], []):
        with pytest.raises(Forbidden):
            services.save_experiment(experiment, content=content(surfaces=surfaces), actor=home, at=NOW)
    assert experiment.newest().number == 2

    wide = draft(key="wide", surfaces=[])
    services.save_experiment(wide, content=content(surfaces=["home-feed"]), actor=ANALYST, at=NOW)
    with pytest.raises(Forbidden):
        services.start_experiment(wide, **{**HERE, "actor": home, "version": 1})
    assert wide.phase == 0


def test_analyse__before_the_first_phase__conflict() -> None:
    with pytest.raises(Conflict, match="nothing to analyse yet"):
        services.analyse_experiment(draft(), **HERE)


def test_analysis_request__of_a_ramped_experiment__its_phase_arms_and_plan() -> None:
    experiment = started(guardrail_metrics=["returns"], planned_units=500)
    services.ramp_experiment(experiment, coverage=1_000, **HERE)
    request = services.analysis_request(experiment, environment="production", until=NOW)
    assert (request.population.phase, request.population.since, request.population.unit) == (1, START, "user")
    assert dict(request.plan.weights or {}) == {"control": 5000, "treatment": 5000}
    assert (request.plan.primary, request.plan.guardrails, request.plan.horizon, request.plan.at_planned_end) == (
        "purchase", ("returns",), 500, False,
    )  # fmt: skip


@pytest.mark.parametrize(("hours", "at_end"), [(-1, False), (0, True)])
def test_analysis_request__around_the_planned_end__read_once_from_then_on(hours: int, at_end: bool) -> None:
    experiment = started(planned_end=NOW.isoformat())
    request = services.analysis_request(
        experiment, environment="production", until=NOW + timedelta(hours=hours)
    )
    assert request.plan.at_planned_end is at_end


def test_analysis_request__sizes_fixed_by_the_publisher__no_planned_shares() -> None:
    request = services.analysis_request(published(sizes_fixed=True), environment="production", until=NOW)
    assert request.plan.weights is None


def test_stop_due__planned_end_passed__stopped_by_the_beat_and_again_nothing() -> None:
    ended, running = started("ended", planned_end=NOW.isoformat()), started("running")
    assert tasks.stop_due(at=NOW - timedelta(seconds=1)) == 0
    assert tasks.stop_due(at=NOW) == 1
    ended.refresh_from_db()
    running.refresh_from_db()
    assert (ended.status, running.status) == (Status.STOPPED, Status.RUNNING)
    assert AuditEvent.objects.filter(subject=ended.subject).latest("id").actor_id == "beat"
    assert tasks.stop_due(at=NOW) == 0
