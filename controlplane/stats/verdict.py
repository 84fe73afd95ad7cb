"""From numbers to a word: ship, keep running, hold or stop, each with its reasons."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from controlplane.stats.answers import Interval, Undefined
from controlplane.stats.comparison import Comparison
from controlplane.stats.sample_ratio import SampleRatio

Word = Literal["ship", "keep running", "hold", "stop"]
Direction = Literal["increase", "decrease"]
Effect = Literal["better", "worse", "unclear"]
Reading = Literal["always_valid", "fixed_horizon"]


@dataclass(frozen=True, slots=True)
class MetricReading:
    """A metric's comparison and which direction is good."""

    name: str
    direction: Direction
    answer: Comparison | Undefined


@dataclass(frozen=True, slots=True)
class Verdict:
    """A word, the reasons in sentences, how the primary metric was read and at which level."""

    word: Word
    reasons: tuple[str, ...]
    reading: Reading
    alpha: float | None


def decide_verdict(
    *,
    primary: MetricReading,
    sample_ratio: SampleRatio | Undefined,
    guardrails: Sequence[MetricReading] = (),
    at_planned_end: bool,
) -> Verdict:
    """What do these results call for?

    Before the planned end the always-valid interval is read, so the word may be looked at daily; at the
    planned end the fixed-horizon interval and its p-value together. A sample ratio alarm holds everything. A
    clearly better primary ships unless a guardrail is clearly worse; a clearly worse primary stops; else keep
    running, or hold at the end.
    """
    reading: Reading = "fixed_horizon" if at_planned_end else "always_valid"
    alpha = primary.answer.alpha if isinstance(primary.answer, Comparison) else None
    effect = effect_of(primary, reading=reading)
    said = describe(primary, reading=reading)
    if isinstance(sample_ratio, SampleRatio) and sample_ratio.level == "alarm":
        return Verdict("hold", (sample_ratio.verdict, f"Not relied upon: {said}"), reading, alpha)
    reasons = [said, _split_reason(sample_ratio)]
    harmed = [g for g in guardrails if effect_of(g, reading=reading) == "worse"]
    reasons += [f"Guardrail: {describe(g, reading=reading)}" for g in harmed]
    if effect == "worse":
        return Verdict("stop", tuple(reasons), reading, alpha)
    if harmed:
        return Verdict("hold", tuple(reasons), reading, alpha)
    if effect == "better":
        unread = [g.name for g in guardrails if isinstance(g.answer, Undefined)]
        if unread:
            reasons.append(f"Guardrails without an answer: {', '.join(unread)}.")
            return Verdict("hold", tuple(reasons), reading, alpha)
        return Verdict("ship", tuple(reasons), reading, alpha)
    if at_planned_end:
        reasons.append("The planned end is reached without a clear difference; a person decides.")
        return Verdict("hold", tuple(reasons), reading, alpha)
    reasons.append("The planned end is not reached; more units will narrow the interval.")
    return Verdict("keep running", tuple(reasons), reading, alpha)


def effect_of(metric: MetricReading, *, reading: Reading) -> Effect:
    """Whether the metric is clearly better or worse: its interval, and at a fixed horizon its p-value too."""
    interval = _interval(metric, reading=reading)
    if interval is None or not isinstance(metric.answer, Comparison) or not interval.excludes(0.0):
        return "unclear"
    if reading == "fixed_horizon" and metric.answer.p_value >= metric.answer.alpha:
        return "unclear"
    return "better" if (interval.low > 0) == (metric.direction == "increase") else "worse"


def describe(metric: MetricReading, *, reading: Reading) -> str:
    """One sentence: what the metric did, its interval, and when that interval may be read."""
    answer = metric.answer
    if isinstance(answer, Undefined):
        return f"{metric.name} has no answer: {answer.detail}"
    interval = _interval(metric, reading=reading)
    if interval is None:
        missing = answer.always_valid.detail if isinstance(answer.always_valid, Undefined) else ""
        return f"{metric.name} cannot be read before the planned end: {missing}"
    effect = effect_of(metric, reading=reading)
    words = {
        "better": "is better than control",
        "worse": "is worse than control",
        "unclear": "does not differ clearly from control",
    }
    when = (
        "Reads valid at any time"
        if reading == "always_valid"
        else "Valid for this one look at the planned end"
    )
    level = f"{100 * (1 - answer.alpha):.4g} %"
    return (
        f"{metric.name} {words[effect]}: difference {answer.difference:+.4g}, {level} interval "
        f"{interval.low:+.4g} to {interval.high:+.4g}. {when}."
    )


def _interval(metric: MetricReading, *, reading: Reading) -> Interval | None:
    if isinstance(metric.answer, Undefined):
        return None
    if reading == "fixed_horizon":
        return metric.answer.interval
    sequence = metric.answer.always_valid
    return None if isinstance(sequence, Undefined) else sequence.interval


def _split_reason(sample_ratio: SampleRatio | Undefined) -> str:
    if isinstance(sample_ratio, Undefined):
        return f"Sample ratio not judged: {sample_ratio.detail}"
    return sample_ratio.verdict
