"""A fully described request: everything a decision depends on besides the ruleset."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from controlplane.engine.coercion import finite
from controlplane.engine.instants import instant_key
from controlplane.engine.problems import RequestError

NOTHING: Mapping[str, object] = {}
UNITS = ("user", "anonymous", "session", "request")
LONGEST_ID = 128


class Candidate(NamedTuple):
    """An item the ranker proposes.

    `score` ranks (None is unscored and stands after all scored ones), `attributes` may say `available`, `signals` and
    anything a rule asks for, `propensity` is the ranker's probability of showing the item, `source` its retriever.
    """

    id: str
    score: float | None
    attributes: Mapping[str, object] = NOTHING
    propensity: float | None = None
    source: str = ""

    def to_json(self) -> dict[str, object]:
        return {
            "id": self.id,
            "score": self.score,
            "attributes": dict(self.attributes),
            "propensity": self.propensity,
            "source": self.source,
        }

    @classmethod
    def from_json(cls, value: object, field: str = "candidate") -> "Candidate":
        """Raises RequestError naming the field that cannot be read."""
        body = _mapping(value, field)
        _known(body, field, ("id", "score", "attributes", "propensity", "source"))
        propensity = _number(body, "propensity", field)
        if propensity is not None and not 0 <= propensity <= 1:
            raise RequestError(f"{field}.propensity", "not between 0 and 1", "send a probability or null")
        return cls(
            id=_identifier(body.get("id"), f"{field}.id"),
            score=_number(body, "score", field),
            attributes=_mapping(body.get("attributes", {}), f"{field}.attributes"),
            propensity=propensity,
            source=_text(body.get("source", ""), f"{field}.source"),
        )


class Request(NamedTuple):
    """What is asked of the engine.

    `at` is the UTC instant `YYYY-MM-DDTHH:MM:SS[.ffffff]Z` at which windows are judged; `unit_ids` name who is asking;
    `context` are the attributes conditions read; `sticky` maps `<experiment>__<phase>` to an arm the unit already has;
    `counters` hold repeats per item; `forced` maps an experiment to the arm a tester asked for.
    """

    surface: str
    at: str
    unit_ids: Mapping[str, object]
    context: Mapping[str, object] = NOTHING
    candidates: Sequence[Candidate] = ()
    slots: int | None = None
    item_state_version: int | None = None
    sticky: Mapping[str, object] = NOTHING
    counters: Mapping[str, object] = NOTHING
    forced: Mapping[str, object] = NOTHING
    seed: str = ""
    decision_id: str = ""

    def to_json(self) -> dict[str, object]:
        """The request as JSON; `from_json` gives back an equal one."""
        return {
            "surface": self.surface,
            "at": self.at,
            "unit_ids": dict(self.unit_ids),
            "context": dict(self.context),
            "candidates": [candidate.to_json() for candidate in self.candidates],
            "slots": self.slots,
            "item_state_version": self.item_state_version,
            "sticky": dict(self.sticky),
            "counters": dict(self.counters),
            "forced": dict(self.forced),
            "seed": self.seed,
            "decision_id": self.decision_id,
        }

    @classmethod
    def from_json(cls, value: object) -> "Request":
        """Reads a request. Raises RequestError with the field, what is wrong and the remedy."""
        body = _mapping(value, "request")
        _known(body, "", cls._fields)
        at = _text(body.get("at"), "at")
        if instant_key(at) is None:
            raise RequestError("at", "not a UTC instant", "write it as 2026-11-23T10:00:00Z")
        candidates = body.get("candidates", ())
        if not isinstance(candidates, (list, tuple)):
            raise RequestError("candidates", "not a list", "send a list of {id, score, attributes}")
        return cls(
            surface=_text(body.get("surface"), "surface"),
            at=at,
            unit_ids=_unit_ids(body.get("unit_ids", {})),
            context=_mapping(body.get("context", {}), "context"),
            candidates=tuple(
                Candidate.from_json(one, f"candidates[{n}]") for n, one in enumerate(candidates)
            ),
            slots=_count(body, "slots"),
            item_state_version=_count(body, "item_state_version"),
            sticky=_mapping(body.get("sticky", {}), "sticky"),
            counters=_mapping(body.get("counters", {}), "counters"),
            forced=_mapping(body.get("forced", {}), "forced"),
            seed=_text(body.get("seed", ""), "seed"),
            decision_id=_text(body.get("decision_id", ""), "decision_id"),
        )


def _mapping(value: object, field: str) -> Mapping[str, object]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise RequestError(field, "not a JSON object", "send {name: value}")
    return value


def _known(body: Mapping[str, object], field: str, names: Sequence[str]) -> None:
    for key in body:
        if key not in names:
            path = f"{field}.{key}" if field else key
            raise RequestError(path, "unknown field", f"use one of {', '.join(names)}")


def _text(value: object, field: str) -> str:
    if not isinstance(value, str):
        raise RequestError(field, "missing" if value is None else "not text", "send a string")
    return value


def _identifier(value: object, field: str) -> str:
    identifier = _text(value, field)
    if not 0 < len(identifier) <= LONGEST_ID:
        raise RequestError(field, f"not 1 to {LONGEST_ID} characters long", "send the item's key")
    return identifier


def _number(body: Mapping[str, object], name: str, field: str) -> float | None:
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or finite(value) is None:
        raise RequestError(f"{field}.{name}", "not a finite number", "send a number or null")
    return value


def _count(body: Mapping[str, object], name: str) -> int | None:
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise RequestError(name, "not a whole number of 0 or more", "send an integer or null")
    return value


def _unit_ids(value: object) -> Mapping[str, object]:
    units = _mapping(value, "unit_ids")
    for name, unit in units.items():
        if name not in UNITS:
            raise RequestError(f"unit_ids.{name}", "unknown unit", f"use one of {', '.join(UNITS)}")
        if not isinstance(unit, str) or not 0 < len(unit) <= LONGEST_ID:
            raise RequestError(
                f"unit_ids.{name}", f"not text of 1 to {LONGEST_ID} characters", "send the id as text"
            )
    return units
