"""The events a serving system reports, made from decisions. Pure: the caller gives ids and times.

Event ids derive from the decision they report, so that reporting one twice is recognised as a duplicate.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from controlplane.engine import Assignment, Decision, Removed, Request, SlateItem
from controlplane.engine.hashing import bucket
from controlplane.engine.requests import UNITS

EVENT_SCHEMA = 1
PLACING_STEPS = frozenset({"pin", "pin_moved"})
BELOW_THE_CUT = "truncated"
LOG_SALT = "decision-log:"


def instant(at: datetime) -> str:
    """An aware time as the UTC text used everywhere: ``2026-11-23T10:00:00.250000Z``."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def encode(event: Mapping[str, Any]) -> bytes:
    """One event as one JSON line. Raises TypeError or ValueError for what JSON cannot say, NaN included."""
    return json.dumps(event, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def is_fully_logged(decision_id: str, *, log_rate: int) -> bool:
    """Whether this decision belongs to the sampled share logged with its whole request.

    ``log_rate`` is in 1/10,000. The sample is a hash of the decision id, so every process picks the same ones.

    >>> is_fully_logged("a", log_rate=10_000), is_fully_logged("a", log_rate=0)
    (True, False)
    """
    return bucket(LOG_SALT, decision_id) < log_rate


def decision_event(
    decision: Decision,
    request: Request,
    *,
    occurred_at: str,
    log_rate: int,
    properties: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """What was decided: slate, assignments, removals; the whole request for the sampled share.

    Items that merely ranked below the last slot are not listed: they are most of every candidate set.
    """
    event = _of_decision("decision", decision, request, occurred_at=occurred_at, properties=properties)
    event["items"] = slate_items(decision)
    event["removed"] = [_removed(gone) for gone in decision.removed if gone.reason != BELOW_THE_CUT]
    if is_fully_logged(decision.decision_id, log_rate=log_rate):
        event["request"] = request.to_json()
    return event


def exposure_event(
    decision: Decision, request: Request, *, occurred_at: str, properties: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The unit met the experiments of this decision."""
    return _of_decision("exposure", decision, request, occurred_at=occurred_at, properties=properties)


def impression_event(
    decision: Decision,
    request: Request,
    *,
    occurred_at: str,
    visible: Iterable[str] | None = None,
    properties: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The slate was shown; ``visible`` names the items that were in view (None: not measured)."""
    event = _of_decision("impression", decision, request, occurred_at=occurred_at, properties=properties)
    event["items"] = slate_items(decision, visible=None if visible is None else frozenset(visible))
    return event


def slate_items(decision: Decision, *, visible: frozenset[str] | None = None) -> list[dict[str, Any]]:
    """The slate as events carry it.

    The propensity is null where a rule placed the item, and left out where the ranker gave none: unknown is not 1.
    """
    pinned = {step.item for step in decision.trace if step.step in PLACING_STEPS}
    return [_slate_item(item, pinned=item.id in pinned, visible=visible) for item in decision.slate]


def assignments(made: Iterable[Assignment]) -> list[dict[str, Any]]:
    """The assignments that gave an arm, as events carry them."""
    return [
        {
            "experiment": one.experiment,
            "phase": one.phase,
            "arm": one.arm,
            "arm_propensity": one.arm_propensity,
        }
        for one in made
        if one.arm is not None
    ]


def known_units(unit_ids: Mapping[str, object]) -> dict[str, str]:
    """The unit ids an event may carry; a decision may use further ones."""
    return {kind: str(unit_ids[kind]) for kind in UNITS if unit_ids.get(kind)}


def _removed(gone: Removed) -> dict[str, Any]:
    said = {"id": gone.id, "reason": gone.reason}
    return {**said, "rule": gone.rule} if gone.rule else said


def _slate_item(item: SlateItem, *, pinned: bool, visible: frozenset[str] | None) -> dict[str, Any]:
    said: dict[str, Any] = {
        "id": item.id,
        "position": item.position,
        "score": item.score,
        "rule_codes": list(item.rule_codes),
        "is_fallback": item.is_fallback,
    }
    if pinned or item.rank_before is None:
        said["item_propensity"] = None
    elif item.propensity is not None:
        said["item_propensity"] = item.propensity
    if visible is not None:
        said["is_visible"] = item.id in visible
    return said


def _of_decision(
    kind: str, decision: Decision, request: Request, *, occurred_at: str, properties: Mapping[str, Any] | None
) -> dict[str, Any]:
    event: dict[str, Any] = {
        "event_id": f"{kind}.{decision.decision_id}",
        "type": kind,
        "schema_version": EVENT_SCHEMA,
        "surface": decision.surface,
        "occurred_at": occurred_at,
        "unit_ids": known_units(request.unit_ids),
        "decision_id": decision.decision_id,
        "revision": decision.revision,
        "assignments": assignments(decision.assignments),
    }
    if properties:
        event["properties"] = dict(properties)
    return event
