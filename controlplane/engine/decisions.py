"""What the engine answers: assignments, the slate, what was removed and why, and the trace of every rule."""

from collections.abc import Mapping
from typing import NamedTuple

from controlplane.engine.requests import NOTHING


class Assignment(NamedTuple):
    """Where a unit stands in one experiment.

    `reason` is one of assigned, forced, not_covered, condition, audience, filtered, no_unit, outside_window, killed.
    `arm_propensity` is the arm's share of all enrolled buckets, known only when the hash assigned the arm; `bucket` is
    0..9999.
    """

    experiment: str
    version: int
    phase: int
    arm: str | None
    arm_propensity: float | None
    bucket: int | None
    reason: str
    parameters: Mapping[str, object] = NOTHING

    def to_json(self) -> dict[str, object]:
        return {**self._asdict(), "parameters": dict(self.parameters)}


class SlateItem(NamedTuple):
    """One item shown. `position` is 1-based; `score_before` and `rank_before` are the ranker's, None when a rule or
    the fallback brought the item in; `propensity` is the ranker's, None where a rule placed the item."""

    id: str
    position: int
    score: float | None
    score_before: float | None
    rank_before: int | None
    rule_codes: tuple[str, ...]
    is_fallback: bool
    propensity: float | None

    def to_json(self) -> dict[str, object]:
        return {**self._asdict(), "rule_codes": list(self.rule_codes)}


class Removed(NamedTuple):
    """One item not shown, and why. `rule` is empty when no rule but a fact (or the slate's length) removed it.

    Reasons: kill_switch, safe_mode, unavailable, region, guardrail, age_gate, region_block, slate_gate, hidden,
    not_required, no_facts, duplicate, displaced, truncated, unknown_surface.
    """

    id: str
    reason: str
    rule: str
    version: int | None
    rank_before: int | None

    def to_json(self) -> dict[str, object]:
        return self._asdict()


class TraceStep(NamedTuple):
    """One thing a rule did to one item. Ranks are 1-based within the step; `detail` says what in words or numbers."""

    step: str
    rule: str
    version: int | None
    item: str
    rank_before: int | None
    rank_after: int | None
    detail: str

    def to_json(self) -> dict[str, object]:
        return self._asdict()


class Decision(NamedTuple):
    """The whole answer. `reasons` are codes about the decision as a whole, such as short_slate or invalid_at."""

    surface: str
    revision: int
    law: int
    decision_id: str
    assignments: tuple[Assignment, ...]
    slate: tuple[SlateItem, ...]
    removed: tuple[Removed, ...]
    trace: tuple[TraceStep, ...]
    reasons: tuple[str, ...]

    def to_json(self) -> dict[str, object]:
        """The decision as JSON; `from_json` gives back an equal one."""
        return {
            **self._asdict(),
            "assignments": [one.to_json() for one in self.assignments],
            "slate": [one.to_json() for one in self.slate],
            "removed": [one.to_json() for one in self.removed],
            "trace": [one.to_json() for one in self.trace],
            "reasons": list(self.reasons),
        }

    @classmethod
    def from_json(cls, body: Mapping[str, object]) -> "Decision":
        """Reads what `to_json` wrote. KeyError or TypeError when it is something else."""
        rows: dict[str, list[dict[str, object]]] = {}
        for name in ("assignments", "slate", "removed", "trace"):
            value = body[name]
            if not isinstance(value, list):
                raise TypeError(f"{name} is not a list")
            rows[name] = value
        plain = {name: body[name] for name in ("surface", "revision", "law", "decision_id")}
        reasons = body["reasons"]
        if not isinstance(reasons, list):
            raise TypeError("reasons is not a list")
        slate = [{**row, "rule_codes": _texts(row["rule_codes"])} for row in rows["slate"]]
        return cls._make(
            [
                *plain.values(),
                tuple(
                    Assignment._make(row[name] for name in Assignment._fields) for row in rows["assignments"]
                ),
                tuple(SlateItem._make(row[name] for name in SlateItem._fields) for row in slate),
                tuple(Removed._make(row[name] for name in Removed._fields) for row in rows["removed"]),
                tuple(TraceStep._make(row[name] for name in TraceStep._fields) for row in rows["trace"]),
                _texts(reasons),
            ]
        )


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError("not a list of text")
    return tuple(str(one) for one in value)
