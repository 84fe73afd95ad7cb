"""The event schema: what is an event, which refusal names what, and that no bytes make it fall over."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.events.lake import rows_table
from controlplane.events.schemas import Accepted, check, check_line, import_rules, lake_row, live_rules
from controlplane.events.shapes import Refusal
from tests.events.conftest import NOW, SURFACES, event

RULES = live_rules("production", at=NOW, surfaces=SURFACES)
ITEM = {"id": "i", "position": 1}
ASSIGNMENT = {"experiment": "x", "phase": 1}


def judge(**fields: Any) -> tuple[str, str]:
    """Code and field of the refusal of a good event with these fields; ('', '') when it is accepted."""
    verdict = check_line(json.dumps(event(1, **fields)).encode(), RULES)
    return (verdict.code, verdict.field) if isinstance(verdict, Refusal) else ("", "")


@pytest.mark.parametrize(
    "fields",
    [
        {
            "type": "decision",
            "name": ...,
            "surface": "search",
            "items": [],
            "assignments": [],
            "removed": [],
            "request": {},
        },
        {"type": "exposure", "name": ..., "surface": "search", "assignments": [ASSIGNMENT | {"arm": None}]},
        {"type": "impression", "name": ..., "surface": "search", "items": [ITEM | {"item_propensity": None}]},
        {"type": "click", "name": ..., "surface": "search", "item_id": "i", "position": 3},
        {"type": "conversion", "name": "purchase", "value": 9.5, "currency": "EUR", "item_id": "i"},
        {"type": "value", "name": "margin", "value": -1},
        {"type": "identify", "name": ..., "unit_ids": {"user": "u", "anonymous": "a"}},
        {"type": "custom", "name": "a.b-c_9"},
        {"environment": "production", "schema_version": 1, "revision": 0, "decision_id": "d"},
        {"surface": None, "revision": None, "properties": None},
        {"event_id": "Az09._:-"},
        {"unit_ids": {"user": "x" * 128}},
        {"properties": {"text": '":", \\ "quoted": ":"'}},
        {"occurred_at": "2026-11-23T13:59:00.123456789+02:00"},
    ],
)
def test_check__good_event__accepted(fields: dict[str, Any]) -> None:
    assert judge(**fields) == ("", "")


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({"type": ...}, "unknown_type", "type"),
        ({"type": "wish"}, "unknown_type", "type"),
        ({"type": ["click"]}, "unknown_type", "type"),
        ({"event_id": ...}, "invalid_event_id", "event_id"),
        ({"event_id": 7}, "invalid_event_id", "event_id"),
        ({"event_id": "x" * 65}, "invalid_event_id", "event_id"),
        ({"event_id": "a b"}, "invalid_event_id", "event_id"),
        ({"event_id": "a\n"}, "invalid_event_id", "event_id"),
        ({"schema_version": 2}, "unknown_schema_version", "schema_version"),
        ({"schema_version": True}, "unknown_schema_version", "schema_version"),
        ({"environment": "staging"}, "wrong_environment", "environment"),
        ({"surface": "serach"}, "unknown_surface", "surface"),
        ({"surface": 3}, "wrong_type", "surface"),
        ({"surface": ["search"]}, "wrong_type", "surface"),
        ({"unit_ids": ...}, "missing_field", "unit_ids"),
        ({"unit_ids": {}}, "missing_field", "unit_ids"),
        ({"unit_ids": "u"}, "missing_field", "unit_ids"),
        ({"unit_ids": {"device": "d"}}, "unknown_field", "unit_ids.device"),
        ({"unit_ids": {"user": ""}}, "wrong_type", "unit_ids.user"),
        ({"unit_ids": {"user": 12}}, "wrong_type", "unit_ids.user"),
        ({"unit_ids": {"user": "x" * 129}}, "wrong_type", "unit_ids.user"),
        ({"occurred_at": ...}, "invalid_time", "occurred_at"),
        ({"occurred_at": "2026-11-23T11:59:00"}, "invalid_time", "occurred_at"),
        ({"occurred_at": "2026-W48-1T11:59:00Z"}, "invalid_time", "occurred_at"),
        ({"occurred_at": "2026-02-30T11:59:00Z"}, "invalid_time", "occurred_at"),
        ({"occurred_at": 1_795_000_000}, "invalid_time", "occurred_at"),
        ({"occurred_at": "0001-01-01T00:00:00+14:00"}, "invalid_time", "occurred_at"),
        ({"occurred_at": "9999-12-31T23:59:59-14:00"}, "invalid_time", "occurred_at"),
        ({"occurred_at": "2026-11-23T12:10:01Z"}, "future", "occurred_at"),
        ({"occurred_at": "2026-10-24T11:59:59Z"}, "too_late", "occurred_at"),
        ({"name": ...}, "missing_field", "name"),
        ({"name": "Purchase!"}, "invalid_value", "name"),
        ({"nmae": "x"}, "unknown_field", "nmae"),
        ({"items": []}, "unknown_field", "items"),
        ({"type": "click", "name": ..., "surface": "search"}, "missing_field", "item_id"),
        ({"type": "click", "name": ..., "item_id": "i"}, "missing_field", "surface"),
        ({"type": "value"}, "missing_field", "value"),
        ({"type": "value", "value": "12"}, "wrong_type", "value"),
        ({"type": "value", "value": True}, "wrong_type", "value"),
        ({"type": "value", "value": 2**60}, "wrong_type", "value"),
        ({"currency": "eur"}, "invalid_value", "currency"),
        ({"revision": -1}, "wrong_type", "revision"),
        ({"revision": 1.5}, "wrong_type", "revision"),
        ({"revision": 2**63}, "wrong_type", "revision"),
        ({"decision_id": "x" * 65}, "wrong_type", "decision_id"),
        ({"properties": []}, "wrong_type", "properties"),
        ({"properties": {"x": "y" * 9_000}}, "too_large", "properties"),
        ({"item_id": ""}, "wrong_type", "item_id"),
    ],
)
def test_check__one_thing_wrong__refusal_names_code_and_field(
    fields: dict[str, Any], code: str, field: str
) -> None:
    assert judge(**fields) == (code, field)


@pytest.mark.parametrize(
    ("item", "code", "field"),
    [
        (7, "wrong_type", "items[1]"),
        ({"position": 1}, "missing_field", "items[1].id"),
        ({"id": "i"}, "missing_field", "items[1].position"),
        (ITEM | {"position": 0}, "wrong_type", "items[1].position"),
        (ITEM | {"position": None}, "wrong_type", "items[1].position"),
        (ITEM | {"position": 2**31}, "wrong_type", "items[1].position"),
        (ITEM | {"rank": 1}, "unknown_field", "items[1].rank"),
        (ITEM | {"score": "high"}, "wrong_type", "items[1].score"),
        (ITEM | {"item_propensity": 1.1}, "invalid_value", "items[1].item_propensity"),
        (ITEM | {"rule_codes": "x"}, "wrong_type", "items[1].rule_codes"),
        (ITEM | {"is_visible": 1}, "wrong_type", "items[1].is_visible"),
    ],
)
def test_check__wrong_item__refusal_names_its_place(item: object, code: str, field: str) -> None:
    assert judge(type="impression", name=..., surface="search", items=[ITEM, item]) == (code, field)


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "malformed_json"),
        (b"nonsense", "malformed_json"),
        (b'{"value": NaN}', "malformed_json"),
        (b'{"value": 1e999}', "malformed_json"),
        (b"{}\x00", "malformed_json"),
        (b'{"event_id": "\xff"}', "invalid_utf8"),
        (b'{"event_id": "\\ud800"}', "invalid_utf8"),
        (b'{"event_id": "a\\u0000b"}', "nul_character"),
        (b'{"a\\u0000": 1}', "nul_character"),
        (b"[" * 5_000, "too_deep"),
        (b"[]", "not_an_object"),
        (b"null", "not_an_object"),
        (b"12", "not_an_object"),
        (b'{"type": "click", "type": "click"}', "duplicate_key"),
        (b'{"type":"custom","unit_ids":{"user":"a","user":"b"}}', "duplicate_key"),
        (b'{"type" : "click", "x":":","type"  : "click"}', "duplicate_key"),
        (b'{"a":"\\u0022:","b":1,"b":2}', "duplicate_key"),
        (b'{"\\u0061":1,"a":2}', "duplicate_key"),
    ],
)
def test_check_line__bytes_that_are_no_event__refusal_with_code(raw: bytes, code: str) -> None:
    verdict = check_line(raw, RULES)
    assert isinstance(verdict, Refusal)
    assert verdict.code == code
    assert verdict.remedy


def test_check_line__escaped_backslash_before_u0000__is_no_nul() -> None:
    raw = orjson.dumps(event(1, properties={"path": "a\\u0000"}))
    assert isinstance(check_line(raw, RULES), Accepted)


def test_check_line__properties_nested_beyond_the_limit__too_deep() -> None:
    deep = b'{"a":' * 300 + b"1" + b"}" * 300
    raw = orjson.dumps(event(1))[:-1] + b',"properties":' + deep + b"}"
    verdict = check_line(raw, RULES)
    assert isinstance(verdict, Refusal)
    assert (verdict.code, verdict.field) == ("too_deep", "properties")


def test_check__late_means_an_hour__told_without_refusing() -> None:
    verdicts = [
        check(event(1, occurred_at=(NOW - age).isoformat()), RULES)
        for age in (timedelta(minutes=59), timedelta(minutes=61))
    ]
    assert verdicts == [Accepted("e-1", "custom", late=False), Accepted("e-1", "custom", late=True)]


def test_check__import_of_an_old_event__accepted_but_not_before_1970_nor_from_the_future() -> None:
    rules = import_rules("production", at=NOW)
    assert check(event(1, occurred_at="1999-01-01T00:00:00Z", surface="anything"), rules) == Accepted(
        "e-1", "custom", late=False
    )
    refused = [
        check(event(1, occurred_at=at), rules) for at in ("1969-12-31T23:59:59Z", "2027-01-01T00:00:00Z")
    ]
    assert [verdict.code for verdict in refused if isinstance(verdict, Refusal)] == ["invalid_time", "future"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda children: (
        st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=8), children, max_size=4)
    ),
    max_leaves=12,
)
field_names = sorted(
    {"event_id", "type", "schema_version", "environment", "surface", "occurred_at", "unit_ids", "decision_id", "revision",
     "assignments", "items", "item_id", "position", "name", "value", "currency", "removed", "request", "properties"}
)  # fmt: skip


@settings(deadline=None)
@given(raw=st.binary(max_size=200))
def test_check_line__any_bytes__answers(raw: bytes) -> None:
    assert isinstance(check_line(raw, RULES), Accepted | Refusal)


@settings(deadline=None)
@given(
    changes=st.dictionaries(st.sampled_from(field_names) | st.text(max_size=5), json_values, max_size=3),
    data=st.data(),
)
def test_check__good_event_with_any_changes__answers_and_what_is_accepted_becomes_a_row(
    changes: dict[str, Any], data: st.DataObject
) -> None:
    kind = data.draw(st.sampled_from(["custom", "decision", "impression", "value"]))
    changed = {
        **event(1, type=kind, surface="search", name=... if kind in ("decision", "impression") else "x"),
        **changes,
    }
    verdict = check(changed, RULES)
    assert isinstance(verdict, Accepted | Refusal)
    if isinstance(verdict, Accepted):
        row = lake_row(changed, environment="production", received_at=NOW, source="live")
        assert rows_table([row]).num_rows == 1


unusual_text = st.text(alphabet='":\\{}[], \tkabü\u0001', max_size=6)


@settings(deadline=None)
@given(
    pairs=st.lists(st.tuples(unusual_text, unusual_text | st.integers(0, 9)), max_size=5),
    blanks=st.sampled_from(["", " ", "\t", "\n "]),
    ascii_only=st.booleans(),
)
def test_check_line__any_object_of_any_spelling__duplicate_key_exactly_when_a_key_repeats(
    pairs: list[tuple[str, Any]], blanks: str, ascii_only: bool
) -> None:
    spelled = ",".join(
        f"{json.dumps(key, ensure_ascii=ascii_only)}{blanks}:{json.dumps(value, ensure_ascii=ascii_only)}"
        for key, value in pairs
    )
    verdict = check_line(f"{{{spelled}}}".encode(), RULES)
    assert isinstance(verdict, Refusal)
    repeats = len({key for key, _ in pairs}) < len(pairs)
    assert (verdict.code == "duplicate_key") == repeats


def test_lake_row__offset_time__is_utc_and_day_is_of_reception() -> None:
    received = datetime(2026, 11, 24, 0, 30, tzinfo=UTC)
    row = lake_row(
        event(1, occurred_at="2026-11-24T01:00:00+02:00"),
        environment="p",
        received_at=received,
        source="live",
    )
    assert row["occurred_at"] == datetime(2026, 11, 23, 23, 0, tzinfo=UTC)
    assert row["received_day"] == "2026-11-24"
