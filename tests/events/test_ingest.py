"""The ingest door: what it takes, what it refuses, and what stands in the database afterwards."""

import asyncio
import gzip
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import psycopg
import pytest
import zstandard

from tests.events.conftest import NOW, Door, event, lines
from tests.events.tokens import Token

Rows = Callable[..., list[tuple[Any, ...]]]


def test_ingest__three_lines_one_bad__verdict_per_line_and_the_good_are_stored(
    door: Door, rows: Rows
) -> None:
    answer = door.post(lines(event(1), event(2, occurred_at="yesterday"), event(3)))
    assert answer.status_code == 202
    assert answer.json() == {
        "accepted": 2,
        "duplicate": 0,
        "quarantined": 1,
        "verdicts": [
            {"line": 0, "event_id": "e-1", "verdict": "accepted"},
            {
                "line": 1,
                "event_id": "e-2",
                "verdict": "quarantined",
                "code": "invalid_time",
                "reason": "occurred_at is not an RFC 3339 time with an offset; write 2026-01-31T12:00:00Z",
            },
            {"line": 2, "event_id": "e-3", "verdict": "accepted"},
        ],
    }
    assert rows("SELECT environment, event_id, type, source, received_at FROM events_buffer ORDER BY 2") == [
        ("production", "e-1", "custom", "live", NOW),
        ("production", "e-3", "custom", "live", NOW),
    ]
    assert rows("SELECT code, field, event_id, event_type, times_seen, raw FROM events_quarantine") == [
        ("invalid_time", "occurred_at", "e-2", "custom", 1, lines(event(2, occurred_at="yesterday")))
    ]


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (json.dumps([event(1), event(2)]).encode(), {}),
        (json.dumps([event(1), event(2)], indent=2).encode(), {"content-type": "application/json"}),
        (lines(event(1), event(2)) + b"\n", {"content-type": "application/x-ndjson"}),
        (b"\r\n" + lines(event(1)) + b"\r\n\r\n" + lines(event(2)) + b"\r\n", {}),
        (gzip.compress(lines(event(1), event(2))), {"content-encoding": "gzip"}),
        (
            gzip.compress(lines(event(1)) + b"\n") + gzip.compress(lines(event(2))),
            {"content-encoding": "gzip"},
        ),
        (zstandard.compress(lines(event(1), event(2))), {"content-encoding": "zstd"}),
        (
            zstandard.compress(lines(event(1)) + b"\n") + zstandard.compress(lines(event(2))),
            {"content-encoding": "zstd"},
        ),
    ],
    ids=["array", "pretty array", "ndjson", "crlf", "gzip", "two gzip members", "zstd", "two zstd frames"],
)
def test_ingest__every_spelling_of_two_events__both_accepted(
    door: Door, body: bytes, headers: dict[str, str]
) -> None:
    answer = door.post(body, headers=headers)
    assert (answer.status_code, answer.json()["accepted"]) == (202, 2)


def test_ingest__one_pretty_object__accepted(door: Door) -> None:
    assert door.post(json.dumps(event(1), indent=4).encode()).json()["accepted"] == 1


def test_ingest__empty_array__202_with_nothing(door: Door) -> None:
    assert door.post(b"[]").json() == {"accepted": 0, "duplicate": 0, "quarantined": 0, "verdicts": []}


def test_ingest__same_id_again_in_body_and_later__first_wins_and_duplicates_are_counted(
    door: Door, rows: Rows
) -> None:
    first = door.take_in(event(1, name="first"), event(1, name="second"), event(2))
    again = door.take_in(event(2), event(3), event(1))
    assert [verdict["verdict"] for verdict in first["verdicts"]] == ["accepted", "duplicate", "accepted"]
    assert [verdict["verdict"] for verdict in again["verdicts"]] == ["duplicate", "accepted", "duplicate"]
    stored = rows("SELECT event_id, payload::json->>'name' FROM events_buffer ORDER BY 1")
    assert stored == [("e-1", "first"), ("e-2", "seen"), ("e-3", "seen")]
    assert rows("SELECT day, type, verdict, count FROM events_count") == [
        (NOW.date(), "custom", "duplicate", 3)
    ]


def test_ingest__whole_body_again__all_duplicates(door: Door) -> None:
    door.take_in(event(1), event(2))
    assert door.take_in(event(1), event(2))["duplicate"] == 2


def test_ingest__same_id_in_another_environment__is_another_event(dsn: str, rows: Rows) -> None:
    Door(dsn).take_in(event(1))
    answer = Door(dsn, tokens={"good": Token(environment="staging")}).take_in(event(1))
    assert answer["accepted"] == 1
    assert rows("SELECT environment FROM events_buffer ORDER BY 1") == [("production",), ("staging",)]


def test_ingest__verdicts_errors__lists_only_the_refused(door: Door) -> None:
    answer = door.post(lines(event(1), event(2, type="wish")), query="?verdicts=errors")
    assert [verdict["line"] for verdict in answer.json()["verdicts"]] == [1]


def test_ingest__late_future_and_too_late__are_told_apart_and_counted(door: Door, rows: Rows) -> None:
    moments = {
        1: NOW - timedelta(hours=2),
        2: NOW + timedelta(minutes=9),
        3: NOW + timedelta(minutes=11),
        4: NOW - timedelta(days=29),
        5: NOW - timedelta(days=31),
    }
    answer = door.take_in(*(event(number, occurred_at=at.isoformat()) for number, at in moments.items()))
    assert [verdict.get("code", verdict["verdict"]) for verdict in answer["verdicts"]] == [
        "accepted", "accepted", "future", "accepted", "too_late",
    ]  # fmt: skip
    assert rows("SELECT verdict, count FROM events_count ORDER BY 1") == [
        ("future", 1),
        ("late", 2),
        ("too_late", 1),
    ]


def test_ingest__unknown_surface__quarantined_by_name(door: Door) -> None:
    answer = door.take_in(event(1, surface="hoem-feed"), event(2, surface="home-feed"))
    assert [verdict.get("code") for verdict in answer["verdicts"]] == ["unknown_surface", None]


def test_ingest__surfaces_not_known_yet__none_is_refused(dsn: str) -> None:
    assert Door(dsn, surfaces=None).take_in(event(1, surface="anything"))["accepted"] == 1


def test_ingest__token_of_one_surface__other_surfaces_are_refused(dsn: str) -> None:
    door = Door(dsn, tokens={"good": Token(surfaces=frozenset({"search"}))})
    answer = door.take_in(event(1, surface="home-feed"), event(2, surface="search"))
    assert [verdict.get("code") for verdict in answer["verdicts"]] == ["forbidden_surface", None]


def test_ingest__same_junk_a_hundred_times__one_row_with_its_count(door: Door, rows: Rows) -> None:
    junk = b"\xff\xfe not an event"
    for _ in range(2):
        answer = door.post(b"\n".join([junk] * 50), headers={"content-type": "application/x-ndjson"})
        assert answer.json()["quarantined"] == 50
    assert rows("SELECT code, times_seen, raw FROM events_quarantine") == [("invalid_utf8", 100, junk)]
    assert rows("SELECT verdict, count FROM events_count") == [("invalid_utf8", 100)]


def test_ingest__demo_source__is_stored_as_such(door: Door, rows: Rows) -> None:
    door.post(lines(event(1)), query="?source=demo")
    assert rows("SELECT source FROM events_buffer") == [("demo",)]


def problem(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == answer.status_code
    assert body["request_id"]
    return answer.status_code, body["code"]


@pytest.mark.parametrize(
    ("body", "headers", "expected"),
    [
        (b"", {}, (400, "empty_body")),
        (b" \r\n ", {}, (400, "empty_body")),
        (b"[1, 2", {}, (400, "malformed_body")),
        (b'{"event_id": ', {}, (400, "malformed_body")),
        (b"\x00\x01\x02", {}, (400, "malformed_body")),
        (b"\xff" * 100, {}, (400, "malformed_body")),
        (b"[" * 5_000, {}, (400, "malformed_body")),
        (b"[NaN]", {}, (400, "malformed_body")),
        (b"not gzip", {"content-encoding": "gzip"}, (400, "malformed_encoding")),
        (gzip.compress(b"[]", mtime=0)[:-4], {"content-encoding": "gzip"}, (400, "malformed_encoding")),
        (
            zstandard.compress(b"[]" + b" " * 9_000)[:-3],
            {"content-encoding": "zstd"},
            (400, "malformed_encoding"),
        ),
        (b"", {"content-encoding": "zstd"}, (400, "malformed_encoding")),
        (b"[]", {"content-encoding": "br"}, (415, "unknown_encoding")),
        (b"[]", {"content-length": str(17 * 2**20)}, (413, "body_too_large")),
        (b" " * (16 * 2**20 + 1), {}, (413, "body_too_large")),
        (
            gzip.compress(b" " * (64 * 2**20 + 1), mtime=0),
            {"content-encoding": "gzip"},
            (413, "body_too_large"),
        ),
        (zstandard.compress(b" " * (64 * 2**20 + 1)), {"content-encoding": "zstd"}, (413, "body_too_large")),
        (b"[" + b"1," * 10_000 + b"1]", {}, (413, "too_many_records")),
        (b"1\n" * 10_001, {"content-type": "application/x-ndjson"}, (413, "too_many_records")),
        (b"\n" * 30_000 + b"1", {}, (202, "")),
        (b"{}" + b"\n" * 30_000 + b"{}", {}, (413, "too_many_records")),
    ],
)
def test_ingest__body_that_cannot_be_read__says_why_and_stores_nothing(
    door: Door, rows: Rows, body: bytes, headers: dict[str, str], expected: tuple[int, str]
) -> None:
    answer = door.post(body, headers=headers)
    if expected[0] == 202:
        assert answer.json()["quarantined"] == 1
        return
    assert problem(answer) == expected
    error = answer.json()["errors"][0]
    assert error["message"]
    assert error["remedy"]
    assert rows("SELECT count(*) FROM events_buffer") == [(0,)]
    assert rows("SELECT count(*) FROM events_quarantine") == [(0,)]


def test_ingest__array_with_a_duplicate_key_and_a_deep_element__only_those_are_refused(door: Door) -> None:
    deep = '{"a":' * 900 + "1" + "}" * 900
    double = '{"event_id":"x","event_id":"y"}'
    body = f'[{json.dumps(event(1))}, {double} ,\n{deep}, 12, "s,]}}", {json.dumps(event(2))}]'.encode()
    answer = door.post(body)
    assert [verdict.get("code", "accepted") for verdict in answer.json()["verdicts"]] == [
        "accepted", "duplicate_key", "unknown_type", "not_an_object", "not_an_object", "accepted",
    ]  # fmt: skip


def test_ingest__no_token__401_and_nothing_read(door: Door) -> None:
    answer = door.post(lines(event(1)), headers={"authorization": "Bearer nobody"})
    assert problem(answer) == (401, "unauthenticated")
    assert answer.headers["www-authenticate"] == "Bearer"


def test_ingest__token_without_scope__403(dsn: str, rows: Rows) -> None:
    door = Door(dsn, tokens={"good": Token(scopes=frozenset({"ruleset:read"}))})
    assert problem(door.post(lines(event(1)))) == (403, "forbidden")
    assert rows("SELECT count(*) FROM events_buffer") == [(0,)]


def test_ingest__unknown_source__400_names_the_field(door: Door) -> None:
    answer = door.post(lines(event(1)), query="?source=import")
    assert problem(answer) == (400, "invalid_input")
    assert answer.json()["errors"][0]["field"] == "source"


def test_ingest__get__405(door: Door) -> None:
    async def get() -> httpx.Response:
        async with door.open() as client:
            return await client.get("/api/v1/events")

    assert problem(asyncio.run(get())) == (405, "method_not_allowed")


def test_ingest__database_down__503_with_retry_after(tmp_path: Any) -> None:
    door = Door(f"postgresql://nobody@/nothing?host={tmp_path}")
    answer = door.post(lines(event(1)))
    assert problem(answer) == (503, "unavailable")
    assert answer.headers["retry-after"] == "5"


def test_ingest__two_hundred_requests_at_once_with_overlap__each_event_accepted_once(
    door: Door, rows: Rows
) -> None:
    async def storm() -> list[dict[str, Any]]:
        async with door.open() as client:
            bodies = [
                lines(*(event(number) for number in range(start, start + 10))) for start in range(0, 1_000, 5)
            ]
            answers = await asyncio.gather(*(client.post("/api/v1/events", content=body) for body in bodies))
            return [answer.json() for answer in answers]

    answers = asyncio.run(storm())
    assert sum(answer["accepted"] for answer in answers) == 1_005
    assert sum(answer["duplicate"] for answer in answers) == 995
    assert rows("SELECT count(*) FROM events_buffer") == [(1_005,)]


def test_ingest__connection_killed_between_requests__next_request_is_taken(
    door: Door, dsn: str, rows: Rows
) -> None:
    async def story() -> list[int]:
        async with door.open() as client:
            before = await client.post("/api/v1/events", content=lines(event(1)))
            with psycopg.connect(dsn, autocommit=True) as other:
                other.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            after = await client.post("/api/v1/events", content=lines(event(2)))
            return [before.status_code, after.status_code]

    assert asyncio.run(story()) == [202, 202]
    assert len(rows_again(dsn)) == 2


def rows_again(dsn: str) -> list[tuple[Any, ...]]:
    """Ask on a fresh connection, for the killed ones are gone."""
    with psycopg.connect(dsn) as connection:
        return connection.execute("SELECT event_id FROM events_buffer").fetchall()
