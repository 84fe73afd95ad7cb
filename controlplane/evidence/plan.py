"""What an analysis was planned to be: arms and their shares, control, primary metric, level and horizon."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from controlplane.evidence.population import InvalidSpec, MetricSpec, PopulationSpec, distinct_keys
from controlplane.stats.sequential import DEFAULT_HORIZON


@dataclass(frozen=True, slots=True)
class Plan:
    """How the numbers will be read; fixed before they are seen.

    `weights`: planned share by arm, in any unit; None when the sizes were not drawn from known shares
    (published data). `horizon`: planned total of units in both arms of a comparison, which tunes the
    always-valid interval. `at_planned_end`: whether this is the one look the fixed-horizon interval is valid
    for.
    """

    control: str
    weights: Mapping[str, float] | None
    primary: str
    guardrails: tuple[str, ...] = ()
    alpha: float = 0.05
    horizon: int = DEFAULT_HORIZON
    at_planned_end: bool = False

    def __post_init__(self) -> None:
        if not 0.0 < self.alpha < 1.0:
            raise InvalidSpec(
                "alpha", f"{self.alpha} is no level.", "Use a number between 0 and 1, such as 0.05."
            )
        if self.horizon < 2:
            raise InvalidSpec("horizon", "is too small.", "Give the planned total of units.")
        if self.weights is None:
            return
        if not all(math.isfinite(w) and w >= 0 for w in self.weights.values()):
            raise InvalidSpec(
                "weights", "are not all finite and at least 0.", "Give each arm's planned share."
            )
        if self.control not in self.weights:
            raise InvalidSpec(
                "control", f"{self.control!r} has no weight.", f"Use one of {', '.join(self.weights)}."
            )


@dataclass(frozen=True, slots=True)
class AnalysisRequest:
    """Everything an analysis depends on besides the events themselves."""

    subject: str
    population: PopulationSpec
    metrics: tuple[MetricSpec, ...]
    plan: Plan
    series: bool = True

    def __post_init__(self) -> None:
        distinct_keys(self.metrics)
        known = {m.key for m in self.metrics}
        for field, keys in (("primary", (self.plan.primary,)), ("guardrails", self.plan.guardrails)):
            for key in keys:
                if key not in known:
                    raise InvalidSpec(
                        field, f"{key!r} is not among the metrics.", f"Use {', '.join(sorted(known))}."
                    )

    def metric(self, key: str) -> MetricSpec:
        return next(m for m in self.metrics if m.key == key)

    def to_json(self) -> dict[str, Any]:
        plan = self.plan
        return {
            "subject": self.subject,
            "population": self.population.to_json(),
            "metrics": [m.to_json() for m in self.metrics],
            "plan": {
                "control": plan.control,
                "weights": None if plan.weights is None else dict(plan.weights),
                "primary": plan.primary,
                "guardrails": list(plan.guardrails),
                "alpha": plan.alpha,
                "horizon": plan.horizon,
                "at_planned_end": plan.at_planned_end,
            },
            "series": self.series,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote; raises InvalidSpec."""
        plan: Mapping[str, Any] = data["plan"]
        metrics: Sequence[Mapping[str, Any]] = data["metrics"]
        return cls(
            subject=str(data["subject"]),
            population=PopulationSpec.from_json(data["population"]),
            metrics=tuple(MetricSpec.from_json(m) for m in metrics),
            plan=Plan(**{**plan, "guardrails": tuple(plan["guardrails"])}),
            series=bool(data.get("series", True)),
        )
