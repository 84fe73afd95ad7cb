"""Is this an event, and what row does it become? Pure: no database, no clock; the rules of the moment are an argument.

Version 1 of the event schema; docs/contract.md section 3 is its table. `check_line` and `check` are total: whatever
the bytes, the answer is `Accepted` or a `Refusal` that names the field and the remedy.
"""

import re
from collections.abc import Container, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import orjson

from controlplane.events.decoding import decode
from controlplane.events.shapes import (
    MAX_KEY,
    Judge,
    Refusal,
    codes,
    document,
    flag,
    matching,
    number,
    rows,
    share,
    shown,
    text,
    whole,
    wrong,
)

SCHEMA_VERSION = 1
TYPES = ("decision", "exposure", "impression", "click", "conversion", "value", "identify", "custom")
UNITS = frozenset({"user", "anonymous", "session", "request"})

FUTURE_TOLERANCE = timedelta(minutes=10)
DEDUPLICATION_WINDOW = timedelta(days=30)
LATE_AFTER = timedelta(hours=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

MAX_UNIT_ID = 128
MAX_ITEM_ID = 128
MAX_ITEMS = 1_000
MAX_ASSIGNMENTS = 200
MAX_PROPERTIES_BYTES = 8 * 1024
MAX_REQUEST_BYTES = 512 * 1024
MAX_INT32 = 2**31 - 1
MAX_INT64 = 2**63 - 1


class Accepted(NamedTuple):
    """What the buffer has to know of a good event."""

    event_id: str
    type: str
    late: bool


@dataclass(frozen=True, slots=True)
class Rules:
    """What a record is held against at the moment it arrives.

    `surfaces` are the environment's surface keys and `granted` those the token may write to; None does not limit.
    `earliest` is the oldest `occurred_at` taken (None: any since 1970), `latest` the newest.
    """

    environment: str
    latest: datetime
    late_before: datetime
    earliest: datetime | None = None
    surfaces: Container[str] | None = None
    granted: Container[str] | None = None


def live_rules(
    environment: str,
    *,
    at: datetime,
    surfaces: Container[str] | None,
    granted: Container[str] | None = None,
) -> Rules:
    """The rules for events that arrive at `at`."""
    return Rules(
        environment=environment,
        latest=at + FUTURE_TOLERANCE,
        late_before=at - LATE_AFTER,
        earliest=at - DEDUPLICATION_WINDOW,
        surfaces=surfaces,
        granted=granted,
    )


def import_rules(environment: str, *, at: datetime, surfaces: Container[str] | None = None) -> Rules:
    """The rules for historical events that an operator imports: any time in the past is good and none is late."""
    return Rules(environment=environment, latest=at + FUTURE_TOLERANCE, late_before=EPOCH, surfaces=surfaces)


_event_id = re.compile(r"[A-Za-z0-9._:-]{1,64}").fullmatch
_name = re.compile(r"[a-z0-9_.-]{1,64}").fullmatch
_currency = re.compile(r"[A-Z]{3}").fullmatch
_instant = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)").fullmatch

_COMMON = frozenset(
    {
        "event_id", "type", "schema_version", "environment", "surface", "occurred_at", "unit_ids", "decision_id",
        "revision", "currency", "properties",
    }
)  # fmt: skip
_ALLOWED: dict[str, frozenset[str]] = {
    "decision": _COMMON | {"assignments", "items", "removed", "request"},
    "exposure": _COMMON | {"assignments"},
    "impression": _COMMON | {"assignments", "items"},
    "click": _COMMON | {"item_id", "position"},
    "conversion": _COMMON | {"item_id", "name", "value"},
    "value": _COMMON | {"item_id", "name", "value"},
    "identify": _COMMON,
    "custom": _COMMON | {"item_id", "name"},
}
_REQUIRED: dict[str, tuple[str, ...]] = {
    "decision": ("surface",),
    "exposure": ("surface",),
    "impression": ("surface",),
    "click": ("surface", "item_id"),
    "conversion": ("name",),
    "value": ("name", "value"),
    "identify": (),
    "custom": ("name",),
}
_ASSIGNMENT_FIELDS = frozenset({"experiment", "phase", "arm", "arm_propensity", "would_be"})
_ITEM_FIELDS = frozenset(
    {"id", "position", "score", "item_propensity", "rule_codes", "is_fallback", "is_visible"}
)
_REMOVED_FIELDS = frozenset({"id", "reason", "rule"})


def check_line(raw: bytes, rules: Rules) -> Accepted | Refusal:
    """Judge the bytes of one record."""
    event = decode(raw)
    return event if type(event) is Refusal else check(event, rules)


def check(event: object, rules: Rules) -> Accepted | Refusal:
    """Judge one decoded record. The first thing wrong is the one named."""
    if type(event) is not dict:
        return Refusal("not_an_object", "", "an event is a JSON object", "send one JSON object per event")
    kind = event.get("type")
    if type(kind) is not str or kind not in _ALLOWED:
        return wrong("unknown_type", "type", f"must be one of {', '.join(TYPES)}", "use one of these types")
    if event.keys() - _ALLOWED[kind]:
        return _unknown_field(event, kind)
    for field in _REQUIRED[kind]:
        if event.get(field) is None:
            return wrong("missing_field", field, f"is required on a {kind}", "add the field")
    problem = _check_identity(event, rules) or _check_rest(event)
    if problem is not None:
        return problem
    occurred_at = parse_instant(event.get("occurred_at"))
    if isinstance(occurred_at, Refusal):
        return occurred_at
    return _check_time(event, occurred_at, rules)


def parse_instant(text: object) -> datetime | Refusal:
    """An RFC 3339 instant with its offset, in UTC."""
    if type(text) is not str or _instant(text) is None:
        return wrong(
            "invalid_time",
            "occurred_at",
            "is not an RFC 3339 time with an offset",
            "write 2026-01-31T12:00:00Z",
        )
    try:
        instant = datetime.fromisoformat(text)
        return instant if text.endswith(("Z", "+00:00")) else instant.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        return wrong("invalid_time", "occurred_at", f"is no time: {error}", "write 2026-01-31T12:00:00Z")


def _check_time(event: dict[str, Any], occurred_at: datetime, rules: Rules) -> Accepted | Refusal:
    if occurred_at > rules.latest:
        return wrong(
            "future",
            "occurred_at",
            "lies more than 10 minutes in the future",
            "set the sender's clock, then re-drive",
        )
    if rules.earliest is not None and occurred_at < rules.earliest:
        return wrong(
            "too_late",
            "occurred_at",
            "lies before the 30 days in which duplicates are known",
            "import it instead",
        )
    if occurred_at < EPOCH:
        return wrong("invalid_time", "occurred_at", "lies before 1970", "send the time the event happened")
    return Accepted(event["event_id"], event["type"], occurred_at < rules.late_before)


def _check_identity(event: dict[str, Any], rules: Rules) -> Refusal | None:
    event_id = event.get("event_id")
    if type(event_id) is not str or _event_id(event_id) is None:
        return wrong(
            "invalid_event_id",
            "event_id",
            "must be 1 to 64 of A-Z a-z 0-9 . _ : -",
            "send a unique id, such as a UUID",
        )
    version = event.get("schema_version")
    if version is not None and (type(version) is not int or version != SCHEMA_VERSION):
        return wrong("unknown_schema_version", "schema_version", "is not a version known here", "send 1")
    environment = event.get("environment")
    if environment is not None and environment != rules.environment:
        return wrong(
            "wrong_environment",
            "environment",
            f"is not the token's, {rules.environment}",
            "leave the field out",
        )
    surface = event.get("surface")
    if surface is not None:
        if type(surface) is not str:
            return wrong("wrong_type", "surface", "must be a string", "send a surface's key")
        if rules.surfaces is not None and surface not in rules.surfaces:
            return wrong(
                "unknown_surface", "surface", "is no surface of this environment", "add it, then re-drive"
            )
        if rules.granted is not None and surface not in rules.granted:
            return wrong(
                "forbidden_surface", "surface", "is not one of the token's surfaces", "widen the token"
            )
    return _check_units(event.get("unit_ids"))


def _check_units(units: object) -> Refusal | None:
    if type(units) is not dict or not units:
        return wrong("missing_field", "unit_ids", "must name at least one unit", 'send {"user": "…"}')
    if not units.keys() <= UNITS:
        unknown = next(iter(units.keys() - UNITS))
        return wrong(
            "unknown_field", f"unit_ids.{shown(unknown)}", "is no kind of unit", "use user, anonymous, …"
        )
    for kind, unit in units.items():
        if type(unit) is not str or not 0 < len(unit) <= MAX_UNIT_ID:
            return wrong(
                "wrong_type", f"unit_ids.{kind}", "must be a string of 1 to 128 characters", "send a string"
            )
    return None


def _check_rest(event: dict[str, Any]) -> Refusal | None:
    """The fields every other question is about; absent and null say the same."""
    for field, value in event.items():
        judge = _JUDGES.get(field)
        if judge is not None and value is not None:
            problem = judge(value, field)
            if problem is not None:
                return problem
    return None


_JUDGES: dict[str, Judge] = {
    "decision_id": text(64),
    "revision": whole(0, MAX_INT64),
    "assignments": rows(
        MAX_ASSIGNMENTS,
        frozenset({"experiment", "phase"}),
        {
            "experiment": text(MAX_KEY),
            "phase": whole(0, MAX_INT32),
            "arm": text(MAX_KEY),
            "arm_propensity": share,
            "would_be": text(MAX_KEY),
        },
    ),
    "items": rows(
        MAX_ITEMS,
        frozenset({"id", "position"}),
        {
            "id": text(MAX_ITEM_ID),
            "position": whole(1, MAX_INT32),
            "score": number,
            "item_propensity": share,
            "rule_codes": codes,
            "is_fallback": flag,
            "is_visible": flag,
        },
    ),
    "removed": rows(
        10 * MAX_ITEMS,
        frozenset({"id", "reason"}),
        {"id": text(MAX_ITEM_ID), "reason": text(MAX_KEY), "rule": text(2 * MAX_KEY)},
    ),
    "request": document(MAX_REQUEST_BYTES),
    "item_id": text(MAX_ITEM_ID),
    "position": whole(1, MAX_INT32),
    "name": matching(_name, "1 to 64 of a-z 0-9 _ . -"),
    "value": number,
    "currency": matching(_currency, "an ISO 4217 code of three capitals"),
    "properties": document(MAX_PROPERTIES_BYTES),
}


def _unknown_field(event: dict[str, Any], kind: str) -> Refusal:
    unknown = min(key for key in event if key not in _ALLOWED[kind])
    known_elsewhere = any(unknown in fields for fields in _ALLOWED.values())
    message = f"does not belong on a {kind}" if known_elsewhere else "is no field of the schema"
    return wrong("unknown_field", shown(unknown), message, "remove it, or put free data into properties")


def lake_row(
    event: Mapping[str, Any], *, environment: str, received_at: datetime, source: str
) -> dict[str, Any]:
    """The row of the lake an accepted event becomes. Raises ValueError on an event no `check` accepted."""
    occurred_at = parse_instant(event.get("occurred_at"))
    if isinstance(occurred_at, Refusal):
        raise ValueError(occurred_at.message)  # noqa: TRY004 - the value is wrong, not its Python type
    units = event["unit_ids"]
    value = event.get("value")
    return {
        "event_id": event["event_id"],
        "type": event["type"],
        "schema_version": event.get("schema_version") or SCHEMA_VERSION,
        "environment": environment,
        "surface": event.get("surface"),
        "occurred_at": occurred_at,
        "received_at": received_at,
        "received_day": received_at.astimezone(UTC).date().isoformat(),
        "user_id": units.get("user"),
        "anonymous_id": units.get("anonymous"),
        "session_id": units.get("session"),
        "request_id": units.get("request"),
        "decision_id": event.get("decision_id"),
        "revision": event.get("revision"),
        "assignments": event.get("assignments"),
        "items": event.get("items"),
        "removed": event.get("removed"),
        "item_id": event.get("item_id"),
        "position": event.get("position"),
        "name": event.get("name"),
        "value": None if value is None else float(value),
        "currency": event.get("currency"),
        "request": _document_text(event.get("request")),
        "properties": _document_text(event.get("properties")),
        "source": source,
    }


def _document_text(document: object) -> str | None:
    return None if document is None else orjson.dumps(document).decode()
