"""What an analyst needs now: experiments that alarm, results ready to decide, what runs and how long it still takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.urls import reverse

from controlplane.core.actors import Actor
from controlplane.core.pages.home import Panel, Row, Tone
from controlplane.evidence import selectors as evidence
from controlplane.evidence.models import Analysis
from experiments import selectors
from experiments.models import Experiment, ExperimentPointer
from experiments.pages import health, results, words

ROLES = frozenset({"analyst"})
ALARMS, DECIDE, RUNNING = 10, 20, 30


@dataclass(frozen=True, slots=True)
class Standing:
    """A running experiment and the newest result of its present phase."""

    pointer: ExperimentPointer
    analysis: Analysis | None

    @property
    def experiment(self) -> Experiment:
        return self.pointer.record

    @property
    def result(self) -> Mapping[str, Any]:
        return self.analysis.result if self.analysis else {}

    @property
    def verdicts(self) -> set[str]:
        """The verdicts of its arms."""
        return {one["word"] for one in self.result.get("verdicts", [])}

    @property
    def alarms(self) -> bool:
        return bool(self.result) and self.result["sample_ratio"].get("level") == "alarm"


def panels(actor: Actor, *, environment: str, at: datetime) -> list[Panel]:
    """Alarms, results ready to decide, running experiments; nothing for those who may not see experiments."""
    if not actor.may("experiments.view"):
        return []
    standings = _standings(environment)
    alarms = [one for one in standings if one.alarms]
    ready = [one for one in standings if not one.alarms and one.verdicts & {"ship", "stop", "hold"}]
    found = [_running(standings, at=at), _ready(ready)]
    if alarms:
        found.append(_alarms(alarms))
    return found


def _standings(environment: str) -> list[Standing]:
    pointers = list(selectors.running_in(environment))
    latest = evidence.latest_analyses(
        [pointer.record.subject for pointer in pointers], environment=environment
    )
    found = []
    for pointer in pointers:
        analysis = latest.get(pointer.record.subject)
        current = (
            analysis is not None and analysis.result["request"]["population"]["phase"] == pointer.record.phase
        )
        found.append(Standing(pointer, analysis if current else None))
    return found


def _alarms(standings: list[Standing]) -> Panel:
    rows = [
        Row(
            one.experiment.title, _page(one.experiment), one.result["sample_ratio"]["verdict"], "alarm", "bad"
        )
        for one in standings
    ]
    return Panel(
        "Experiments that alarm", rows, ALARMS, ROLES, figure=str(len(rows)), url=_list(), tone="bad"
    )


def _ready(standings: list[Standing]) -> Panel:
    rows = []
    for one in standings:
        verdict = next(v for v in one.result["verdicts"] if v["word"] in {"ship", "stop", "hold"})
        line = results.verdict_line(one.result, verdict, words.titles(one.pointer.version.content))
        rows.append(
            Row(one.experiment.title, _page(one.experiment), line.sentence, verdict["word"], line.tone)
        )
    empty = "No result is clear enough to decide. Results are renewed every quarter of an hour while an experiment runs."
    return Panel(
        "Ready to decide",
        rows,
        DECIDE,
        ROLES,
        figure=str(len(rows)) if rows else "",
        empty=empty,
        url=_list(),
    )


def _running(standings: list[Standing], *, at: datetime) -> Panel:
    rows = [
        Row(one.experiment.title, _page(one.experiment), _progress(one, at=at), *_health(one, at=at))
        for one in standings
    ]
    empty = (
        "Nothing runs here. Three steps: define a metric under Metrics, draft an experiment with two arms, then press "
        "Start on its page; its result appears there by itself."
    )
    return Panel(
        "Running experiments",
        rows,
        RUNNING,
        ROLES,
        figure=str(len(rows)) if rows else "",
        empty=empty,
        url=_list(),
    )


def _health(one: Standing, *, at: datetime) -> tuple[str, Tone]:
    if one.analysis is None:
        return "no result yet", "neutral"
    signs = health.strip(one.result, one.analysis, _phase(one), at=at)
    for tone in ("bad", "warning"):
        sign = next((sign for sign in signs if sign.tone == tone), None)
        if sign is not None:
            return f"{sign.label.lower()}: {sign.word}", sign.tone
    return "healthy", "good"


def _phase(one: Standing) -> Any:
    return next(phase for phase in one.experiment.phases.all() if phase.number == one.experiment.phase)


def _progress(one: Standing, *, at: datetime) -> str:
    content = one.pointer.version.content
    units = one.result.get("units")
    counted = "" if units is None else f"{units:,} of {content['planned_units']:,} planned units · "
    end = content["planned_end"]
    if end is None:
        return f"{counted}no planned end"
    left = datetime.fromisoformat(end) - at
    if left <= timedelta(0):
        return f"{counted}ends now"
    return f"{counted}{_left(left)} left"


def _left(time: timedelta) -> str:
    hours = int(time.total_seconds() // 3600)
    return f"{hours // 24} days" if hours >= 48 else f"{max(hours, 1)} h"


def _page(experiment: Experiment) -> str:
    return reverse("admin:experiments_experiment_change", args=[experiment.pk])


def _list() -> str:
    return reverse("admin:experiments_experiment_changelist")
