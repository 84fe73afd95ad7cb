"""What a statistical question is answered with: an interval, or the reason why there is no answer."""

from dataclasses import dataclass
from typing import Literal

Reason = Literal[
    "no_units",
    "one_unit",
    "zero_variance",
    "invalid_input",
    "small_counts",
    "baseline_near_zero",
    "no_planned_shares",
    "single_arm",
    "no_events",
    "no_arm",
]
"""Why an answer cannot be given.

no_units: an arm is empty.  one_unit: a variance needs two.  zero_variance: all values are equal.
invalid_input: not finite, negative counts, alpha outside (0, 1).  small_counts: no exact method for so few.
baseline_near_zero: the control mean is not clearly different from zero, so a ratio to it is unbounded.
no_planned_shares: the sizes were not drawn from known shares.  single_arm: nothing to compare with.
no_events: the metric has no event in the population.  no_arm: the arm has not been seen.
"""


@dataclass(frozen=True, slots=True)
class Undefined:
    """A question without an answer: `reason` for programs, `detail` for people."""

    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class Interval:
    """A closed interval, in the unit of the quantity it belongs to."""

    low: float
    high: float

    def excludes(self, value: float) -> bool:
        """Whether `value` lies strictly outside."""
        return value < self.low or value > self.high

    @property
    def half_width(self) -> float:
        return (self.high - self.low) / 2


def invalid_alpha(alpha: float) -> Undefined | None:
    """The answer to a question asked at an impossible level, or None when `alpha` lies in (0, 1)."""
    if 0.0 < alpha < 1.0:
        return None
    return Undefined("invalid_input", f"alpha must lie between 0 and 1, not {alpha!r}.")
