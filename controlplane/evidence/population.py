"""Who is counted, from when to when, and what is measured on them: plain data, checked, and its JSON."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, Self, cast, get_args

Unit = Literal["user", "anonymous", "session", "request"]
ExposureType = Literal["exposure", "decision", "impression"]
Kind = Literal["proportion", "mean"]
Aggregation = Literal["any", "count", "sum", "retention"]
Direction = Literal["increase", "decrease"]
OutcomeType = Literal[
    "decision", "exposure", "impression", "click", "conversion", "value", "identify", "custom"
]

_NAME = re.compile(r"[a-z0-9_.-]{1,64}")
_KEY = re.compile(r"[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?")
_MAX_WINDOW_HOURS = 24 * 366


class InvalidSpec(ValueError):
    """A population or metric that cannot be computed: the field, what is wrong with it, and what to write
    instead.
    """

    def __init__(self, field: str, message: str, remedy: str) -> None:
        super().__init__(f"{field}: {message} {remedy}")
        self.field, self.message, self.remedy = field, message, remedy


@dataclass(frozen=True, slots=True)
class PopulationSpec:
    """Units with a first exposure in [`since`, `until`), by their assigned arm (intention to treat).

    `exposure_types`: which events count as exposure when they carry an assignment to the experiment. `phase`
    None takes all phases. `stratum` names an event field of the first exposure by which summaries are also
    kept apart. Outcomes count from a unit's first exposure to the end of the metric's window, never at or
    after `until`.
    """

    environment: str
    experiment: str
    phase: int | None
    unit: Unit
    until: datetime
    since: datetime | None = None
    exposure_types: tuple[ExposureType, ...] = ("exposure",)
    stratum: Literal["surface"] | None = None

    def __post_init__(self) -> None:
        _require(bool(self.environment), "environment", "is empty.", "Name the environment.")
        _require(bool(self.experiment), "experiment", "is empty.", "Give the experiment's key.")
        _one_of("unit", self.unit, get_args(Unit))
        _require(bool(self.exposure_types), "exposure_types", "is empty.", "Name at least `exposure`.")
        for kind in self.exposure_types:
            _one_of("exposure_types", kind, get_args(ExposureType))
        _one_of("stratum", self.stratum, (None, "surface"))
        for field, moment in (("since", self.since), ("until", self.until)):
            aware = moment is None or moment.tzinfo is not None
            _require(aware, field, "has no offset.", "Write a time with its offset from UTC.")
        ordered = self.since is None or self.since < self.until
        _require(ordered, "until", "is not after `since`.", "End the window after it starts.")

    def to_json(self) -> dict[str, Any]:
        """The same as JSON; times in UTC."""
        return {
            "environment": self.environment,
            "experiment": self.experiment,
            "phase": self.phase,
            "unit": self.unit,
            "since": _written(self.since),
            "until": _written(self.until),
            "exposure_types": list(self.exposure_types),
            "stratum": self.stratum,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote; raises InvalidSpec."""
        until = _read(data.get("until"), "until")
        if until is None:
            raise InvalidSpec("until", "is missing.", "Give the end of the window.")
        return cls(
            environment=str(data.get("environment") or ""),
            experiment=str(data.get("experiment") or ""),
            phase=None if data.get("phase") is None else int(data["phase"]),
            unit=cast("Unit", data.get("unit", "user")),
            since=_read(data.get("since"), "since"),
            until=until,
            exposure_types=tuple(data.get("exposure_types", ("exposure",))),
            stratum=data.get("stratum"),
        )


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """One number per unit, made from its outcome events.

    any: 1 when at least one event happened.  retention: the same, from `delay_hours` after the first exposure
    on. count: how many.  sum: the total of their `value`.  A proportion is the share of units with 1, a mean
    averages over all units, those without events included as 0. `window_hours` None leaves the window open
    until the analysis ends.
    """

    key: str
    kind: Kind
    event_type: OutcomeType
    aggregation: Aggregation
    name: str | None = None
    value_field: Literal["value"] | None = None
    delay_hours: float = 0.0
    window_hours: float | None = None
    direction: Direction = "increase"
    unit: str = ""
    title: str = ""

    def __post_init__(self) -> None:
        _require(
            bool(_KEY.fullmatch(self.key)),
            "key",
            f"{self.key!r} is no key.",
            "Use a-z, 0-9, dot, dash, underscore.",
        )
        _one_of("kind", self.kind, get_args(Kind))
        _one_of("event_type", self.event_type, get_args(OutcomeType))
        _one_of("aggregation", self.aggregation, get_args(Aggregation))
        _one_of("direction", self.direction, get_args(Direction))
        _one_of("value_field", self.value_field, (None, "value"))
        allowed = ("any", "retention") if self.kind == "proportion" else ("count", "sum")
        fits = self.aggregation in allowed
        _require(fits, "aggregation", f"does not make a {self.kind}.", f"Use {' or '.join(allowed)}.")
        named = self.name is None or bool(_NAME.fullmatch(self.name))
        _require(named, "name", f"{self.name!r} is no event name.", "Use a-z, 0-9, dot, dash, underscore.")
        summed = (self.aggregation == "sum") == (self.value_field == "value")
        _require(
            summed, "value_field", "goes with sum only.", "Set it to `value` for sum, leave it out otherwise."
        )
        delayed = math.isfinite(self.delay_hours) and 0 <= self.delay_hours <= _MAX_WINDOW_HOURS
        _require(delayed, "delay_hours", "is out of range.", f"Use 0 to {_MAX_WINDOW_HOURS} hours.")
        if self.window_hours is not None:
            ends = self.delay_hours < self.window_hours <= _MAX_WINDOW_HOURS
            _require(
                ends, "window_hours", "ends before it starts or is too long.", "End it after `delay_hours`."
            )

    def to_json(self) -> dict[str, Any]:
        """Every field, the key included."""
        return {field: getattr(self, field) for field in self.__dataclass_fields__}

    def content(self) -> dict[str, Any]:
        """What a metric's version stores: everything but the identity (key, title)."""
        return {field: value for field, value in self.to_json().items() if field not in {"key", "title"}}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote; raises InvalidSpec and names unknown, missing or mistyped fields."""
        known = cls.__dataclass_fields__
        for field in data:
            _require(field in known, field, "is not known.", f"Use one of {', '.join(known)}.")
        for field in ("key", "kind", "event_type", "aggregation"):
            _require(field in data, field, "is missing.", "Every metric has one.")
        for field, value in data.items():
            if field in {"delay_hours", "window_hours"}:
                number = isinstance(value, int | float) and not isinstance(value, bool)
                empty = value is None and field == "window_hours"
                _require(number or empty, field, "is not a number.", "Write hours as a number.")
            else:
                empty = value is None and field in {"name", "value_field"}
                _require(isinstance(value, str) or empty, field, "is not text.", "Write text.")
        return cls(**data)


def distinct_keys(metrics: Sequence[MetricSpec]) -> None:
    """Raises InvalidSpec when there is no metric or two share a key."""
    _require(bool(metrics), "metrics", "is empty.", "Name at least one metric.")
    keys = [m.key for m in metrics]
    _require(len(set(keys)) == len(keys), "metrics", "has a key twice.", "Name each metric once.")


def _require(holds: bool, field: str, message: str, remedy: str) -> None:  # noqa: FBT001 - reads as a sentence
    if not holds:
        raise InvalidSpec(field, message, remedy)


def _one_of(field: str, value: object, allowed: tuple[object, ...]) -> None:
    names = ", ".join(str(a) for a in allowed if a is not None)
    _require(value in allowed, field, f"{value!r} is not known.", f"Use one of {names}.")


def _written(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _read(text: object, field: str) -> datetime | None:
    if text is None:
        return None
    try:
        return datetime.fromisoformat(str(text))
    except ValueError:
        raise InvalidSpec(field, f"{text!r} is no time.", "Write RFC 3339 with an offset.") from None
