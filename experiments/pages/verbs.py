"""What a person can do to an experiment, and what the confirmation says will happen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from controlplane.core.pages.records import Verb
from controlplane.evidence import selectors as evidence
from experiments import selectors, services
from experiments.lifecycle import Status
from experiments.models import Experiment
from experiments.pages import words
from experiments.pages.forms import RampForm


@dataclass(frozen=True, slots=True)
class NewPhase(Verb):
    """Starting again what was stopped: the same operation, under an address and a name of its own."""

    @property
    def name(self) -> str:
        return "start_new_phase"


def _enrolled(record: Experiment, environment: str) -> str:
    units = selectors.enrolled_units(record, environment)
    return "no unit counted so far" if units is None else f"{units:,} units enrolled so far"


def _start(record: Experiment, environment: str) -> str:
    content = record.newest().content
    if record.status == Status.RUNNING:
        return (
            f"It runs elsewhere already; here it enrols {words.traffic(content)}, in the same phase and arms."
        )
    return (
        f"Enrols {words.traffic(content)}: {words.arm_shares(content)}. "
        f"Phase {record.phase + 1} begins; arms, shares and audience are fixed until it is stopped."
    )


def _new_phase(record: Experiment, environment: str) -> str:
    content = record.newest().content
    return (
        f"Enrols {words.traffic(content)} as phase {record.phase + 1}, drawn anew: {words.arm_shares(content)}. "
        f"The units of phase {record.phase} ({_enrolled(record, environment)}) may change arms; "
        "results of the phases stay apart."
    )


def _ramp(record: Experiment, environment: str) -> str:
    content = selectors.content_in(record, environment)
    now = f"Enrols {words.traffic(content)} now; {_enrolled(record, environment)}."
    units, coverage = selectors.enrolled_units(record, environment), content["coverage"]
    if not units or not coverage:
        return now
    each = units * 100 / coverage
    return f"{now} Each percent taken away lets go of about {words.number(round(each))} of them."


def _stop(record: Experiment, environment: str) -> str:
    content = selectors.content_in(record, environment)
    return (
        f"Ends phase {record.phase}, which enrols {words.traffic(content)}; {_enrolled(record, environment)}. "
        f"From the next ruleset on nobody is treated here. Starting again begins phase {record.phase + 1}."
    )


def _analyse(record: Experiment, environment: str) -> str:
    latest = evidence.latest_analysis(record.subject, environment=environment)
    before = (
        f"The newest result counts {latest.result.get('units', 0):,} units as of {latest.as_of:%d %b %Y %H:%M} UTC. "
        if latest
        else "There is no result yet. "
    )
    return (
        f"{before}Reads phase {record.phase} from the lake as it is now and keeps the result; takes seconds."
    )


def _run_analysis(record: Experiment, **given: Any) -> Experiment:
    services.analyse_experiment(record, **given)
    return record


def _may_start(record: Experiment, environment: str) -> bool:
    return not record.imported and record.status != Status.STOPPED and record.live(environment) is None


def _may_start_again(record: Experiment, environment: str) -> bool:
    return not record.imported and record.status == Status.STOPPED


def _runs(record: Experiment, environment: str) -> bool:
    return record.live(environment) is not None


def _may_analyse(record: Experiment, environment: str) -> bool:
    return record.phase > 0 and not evidence.has_imported_summaries(record.subject)


VERBS = (
    Verb(
        "experiments.start_experiment", "Start", services.start_experiment,
        shown=_may_start, consequence=_start, style="primary",
    ),
    NewPhase(
        "experiments.start_experiment", "Start a new phase", services.start_experiment,
        shown=_may_start_again, consequence=_new_phase,
    ),
    Verb("evidence.run_analysis", "Analyse now", _run_analysis, shown=_may_analyse, consequence=_analyse),
    Verb(
        "experiments.ramp_experiment", "Ramp", services.ramp_experiment,
        shown=_runs, consequence=_ramp, form=RampForm,
    ),
    Verb(
        "experiments.stop_experiment", "Stop", services.stop_experiment,
        shown=_runs, consequence=_stop, style="danger",
    ),
)  # fmt: skip
