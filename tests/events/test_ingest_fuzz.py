"""Whatever is posted, the door answers with a verdict per line or a problem, and what it stored is what it said."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.events.conftest import Door, event

SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats()
    | st.text(max_size=20) | st.sampled_from(["home-feed", "2026-11-23T11:59:00Z", "\x00", "user", "decision"])
)  # fmt: skip
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.sampled_from(
    ["event_id", "type", "schema_version", "environment", "surface", "occurred_at", "unit_ids", "decision_id",
     "revision", "assignments", "items", "item_id", "position", "name", "value", "currency", "removed", "request",
     "properties", "colour"]
)  # fmt: skip
TYPES = ["decision", "exposure", "impression", "click", "conversion", "value", "identify", "custom"]
KINDS = st.sampled_from(TYPES)
SPOILT = st.builds(
    lambda number, kind, fields: json.dumps({**event(number, type=kind), **fields}).encode(),
    st.integers(0, 10**9), KINDS, st.dictionaries(FIELDS, ANYTHING, max_size=3),
)  # fmt: skip
GOOD = st.integers(0, 10**9).map(lambda number: json.dumps(event(number)).encode())
CUT = st.builds(lambda line, at: line[: at % (len(line) + 1)], SPOILT, st.integers(0, 400))
BODIES = st.lists(GOOD | SPOILT | CUT | st.binary(max_size=40), max_size=6).map(b"\n".join) | st.binary(
    max_size=300
)


def test_ingest__any_bytes__verdicts_that_add_up_or_a_problem(
    door: Door, rows: Callable[..., list[tuple[Any, ...]]]
) -> None:
    statuses: Counter[int] = Counter()
    said: Counter[str] = Counter()

    async def post(client: httpx.AsyncClient, body: bytes) -> None:
        answer = await client.post("/api/v1/events", content=body)
        told = answer.json()
        statuses[answer.status_code] += 1
        if answer.status_code == 202:
            counts = Counter(one["verdict"] for one in told["verdicts"])
            assert counts == Counter(
                {name: told[name] for name in ("accepted", "duplicate", "quarantined") if told[name]}
            )
            assert [one["line"] for one in told["verdicts"]] == list(range(len(told["verdicts"])))
            refused = [one for one in told["verdicts"] if one["verdict"] == "quarantined"]
            assert all(one["code"] and one["reason"] for one in refused)
            said.update(counts)
        else:
            assert (answer.status_code, answer.headers["content-type"]) == (
                400,
                "application/problem+json",
            ), told
            assert told["errors"][0]["remedy"]

    @settings(max_examples=150, deadline=None, derandomize=True, database=None)
    @given(bodies=st.lists(BODIES, min_size=1, max_size=4))
    def holds(bodies: list[bytes]) -> None:
        async def through_one_door() -> None:
            async with door.open() as client:
                for body in bodies:
                    await post(client, body)

        asyncio.run(through_one_door())

    holds()

    assert min(statuses[202], statuses[400], said["accepted"], said["quarantined"]) >= 20, (statuses, said)
    assert rows("SELECT count(*) FROM events_buffer") == [(said["accepted"],)]
    assert rows("SELECT coalesce(sum(times_seen), 0) FROM events_quarantine") == [(said["quarantined"],)]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("?source=%00", "source"), ("?source=", ""), ("?source=live&source=nowhere", "source"),
        ("?verdicts=maybe", "verdicts"), ("?%FF=%FF", ""),
    ],
)  # fmt: skip
def test_ingest__odd_query__names_the_parameter_or_does_not_mind(door: Door, query: str, field: str) -> None:
    answer = door.post(json.dumps(event(1)).encode(), query=query)

    assert answer.status_code == (400 if field else 202)
    if field:
        assert [(error["field"], bool(error["remedy"])) for error in answer.json()["errors"]] == [
            (field, True)
        ]


@pytest.mark.parametrize(
    "headers",
    [
        {"content-length": "many"},
        {"content-type": "\x7f"},
        {"x-request-id": "x" * 500},
        {"content-encoding": "identity"},
    ],
)
def test_ingest__odd_header__is_survived(door: Door, headers: dict[str, str]) -> None:
    assert door.post(json.dumps(event(1)).encode(), headers=headers).status_code in {202, 400, 415}
