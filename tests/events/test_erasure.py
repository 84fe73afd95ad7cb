"""Erasure: after it no file holds the person's id, and nobody else lost a row."""

import asyncio
import io
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq
import pytest
from django.core.management import call_command

from controlplane.core.actors import Actor
from controlplane.core.errors import Forbidden, InvalidInput
from controlplane.core.models import AuditEvent
from controlplane.events import lake, mover, services, upkeep
from controlplane.events.models import Erasure
from controlplane.events.traces import raw_mentions
from tests.events.conftest import NOW, Door, event, lines
from tests.events.test_mover import child, in_lake

Rows = Callable[..., list[tuple[Any, ...]]]
PERSON = "person-4711-Zoë"
DEVICE = "device-0815"


def texts_of(value: object) -> Iterator[str]:
    """Every string in a nested value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from texts_of(key)
            yield from texts_of(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from texts_of(inner)


def traces_in_files(folder: Path, name: str) -> list[str]:
    """Files under `folder` that hold `name`: as raw bytes, in any decoded Parquet column, or in column statistics."""
    found = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        raw = path.read_bytes()
        spellings = {name.encode(), orjson.dumps(name)[1:-1], name.encode("ascii", "backslashreplace")}
        hit = any(spelling in raw for spelling in spellings)
        if path.suffix == ".parquet":
            parquet = pq.ParquetFile(io.BytesIO(raw))
            hit = hit or any(name in text for row in parquet.read().to_pylist() for text in texts_of(row))
            for group in range(parquet.metadata.num_row_groups):
                for column in range(parquet.metadata.num_columns):
                    statistics = parquet.metadata.row_group(group).column(column).statistics
                    hit = hit or (statistics is not None and name in f"{statistics.min}{statistics.max}")
        if hit:
            found.append(path.name)
    return found


def folder_of(lake_url: str) -> Path:
    folder = lake.local_path(lake_url)
    assert folder is not None
    return folder


def events_of_everyone() -> list[dict[str, Any]]:
    mine = {"user": PERSON, "anonymous": DEVICE}
    return [
        event(1, unit_ids={"user": PERSON}),
        event(2, type="identify", name=..., unit_ids=mine),
        event(3, unit_ids={"anonymous": DEVICE}),
        event(4, type="decision", name=..., surface="search", unit_ids=mine, request={"unit_ids": mine}),
        event(5, unit_ids={"user": "other"}, properties={"invited_by": PERSON}),
        event(6, unit_ids={"user": "other"}, properties={"note": "kept"}),
        event(7, unit_ids={"user": f"{PERSON}-junior"}),
    ]


def test_erase__person_in_lake_buffer_quarantine_and_orphans__no_raw_file_holds_the_id(
    dsn: str, lake_url: str, rows: Rows
) -> None:
    folder = folder_of(lake_url)
    door = Door(dsn)
    everyone = events_of_everyone()
    door.take_in(*everyone[:3])
    mover.move(lake_url=lake_url, dsn=dsn)
    Door(dsn, at=NOW + timedelta(days=1)).take_in(*everyone[3:6])
    mover.move(lake_url=lake_url, dsn=dsn)
    door.take_in(event(8, unit_ids={"user": PERSON}), event(9, unit_ids={"user": PERSON}, nmae="x"))
    door.post(f'{{"user": "{PERSON}", broken'.encode() + b"\n" + lines(event(10)))
    orphan = folder / "received_day=2026-11-23" / "part-of-a-killed-writer.parquet"
    orphan.write_bytes(next(folder.rglob("*.parquet")).read_bytes())
    table = lake.open_table(lake_url)
    assert table is not None
    lake.tidy_log(table)
    assert traces_in_files(folder, PERSON) != []

    removed = upkeep.erase(lake_url=lake_url, dsn=dsn, environment="production", user_id=PERSON)

    assert removed == {"lake": 5, "lake_documents": 1, "quarantine": 2, "buffer": 0}
    assert traces_in_files(folder, PERSON) == []
    assert traces_in_files(folder, DEVICE) == []
    table = lake.open_table(lake_url)
    assert table is not None
    left = {row["event_id"]: row["properties"] for row in table.to_pyarrow_table().to_pylist()}
    assert left == {"e-5": None, "e-6": '{"note":"kept"}', "e-10": None}
    assert rows("SELECT count(*) FROM events_quarantine") == [(0,)]
    assert rows("SELECT count(*) FROM events_buffer WHERE payload IS NOT NULL") == [(0,)]
    assert door.take_in(event(1, unit_ids={"user": PERSON}))["duplicate"] == 1


def test_erase__somebody_whose_id_begins_alike__stays(dsn: str, lake_url: str) -> None:
    Door(dsn).take_in(event(1, unit_ids={"user": PERSON}), event(7, unit_ids={"user": f"{PERSON}-junior"}))
    upkeep.erase(lake_url=lake_url, dsn=dsn, environment="production", user_id=PERSON)
    table = lake.open_table(lake_url)
    assert table is not None
    assert table.to_pyarrow_table()["event_id"].to_pylist() == ["e-7"]


def test_erase__device_tied_to_two_users__their_anonymous_rows_stay(dsn: str, lake_url: str) -> None:
    Door(dsn).take_in(
        event(1, type="identify", name=..., unit_ids={"user": PERSON, "anonymous": DEVICE}),
        event(2, type="identify", name=..., unit_ids={"user": "other", "anonymous": DEVICE}),
        event(3, unit_ids={"anonymous": DEVICE}),
    )
    assert upkeep.erase(lake_url=lake_url, dsn=dsn, environment="production", user_id=PERSON)["lake"] == 1


def test_erase__same_id_in_another_environment__stays(dsn: str, lake_url: str) -> None:
    Door(dsn).take_in(event(1, unit_ids={"user": PERSON}))
    assert upkeep.erase(lake_url=lake_url, dsn=dsn, environment="staging", user_id=PERSON)["lake"] == 0


def test_erase__again__removes_nothing_more(dsn: str, lake_url: str) -> None:
    Door(dsn).take_in(*events_of_everyone())
    upkeep.erase(lake_url=lake_url, dsn=dsn, environment="production", user_id=PERSON)
    again = upkeep.erase(lake_url=lake_url, dsn=dsn, environment="production", user_id=PERSON)
    assert not any(again.values())


def test_erase__batch_written_but_not_marked_when_the_mover_died__does_not_come_back(
    dsn: str, lake_url: str, own_lake: str
) -> None:
    Door(dsn).take_in(event(1, unit_ids={"user": PERSON}), event(2))
    assert child("--once", "--stop-after", "written").returncode == 9
    upkeep.erase(lake_url=lake_url, dsn=dsn, environment="production", user_id=PERSON)
    assert child("--once").returncode == 0
    assert in_lake(lake_url) == {"e-2": 1}
    assert traces_in_files(folder_of(lake_url), PERSON) == []


def test_request_erasure__then_the_sweep__done_on_the_record_and_the_id_is_forgotten(
    dsn: str, own_lake: str, operator: Actor
) -> None:
    Door(dsn).take_in(event(1, unit_ids={"user": PERSON}))
    erasure = services.request_erasure(
        environment="production", user_id=PERSON, reason="Article 17 request", actor=operator, at=NOW
    )
    call_command("lake_work", "erase")
    erasure.refresh_from_db()
    assert (erasure.status, erasure.user_id, erasure.counts["lake"]) == (Erasure.Status.DONE, "", 1)
    assert erasure.subject_hash == services.hash_subject(PERSON, erasure.salt)
    trail = list(AuditEvent.objects.order_by("id").values_list("operation", "actor_id", "difference"))
    assert [(name, actor) for name, actor, _ in trail] == [
        ("events.request_erasure", "7"), ("events.run_erasure", "beat"),
    ]  # fmt: skip
    assert PERSON not in str(trail)


def test_request_erasure__viewer__forbidden_and_nothing_written(dsn: str, viewer: Actor) -> None:
    with pytest.raises(Forbidden):
        services.request_erasure(environment="production", user_id=PERSON, reason="x", actor=viewer, at=NOW)
    assert Erasure.objects.count() == 0


@pytest.mark.parametrize(("user_id", "reason"), [("", "x"), ("x" * 129, "x"), ("u", " ")])
def test_request_erasure__bad_input__refused(dsn: str, operator: Actor, user_id: str, reason: str) -> None:
    with pytest.raises(InvalidInput):
        services.request_erasure(
            environment="production", user_id=user_id, reason=reason, actor=operator, at=NOW
        )
    assert Erasure.objects.count() == 0


def test_erase__event_arrives_while_erasing__does_not_deadlock(dsn: str, lake_url: str) -> None:
    async def story() -> int:
        async with Door(dsn).open() as client:
            erasing = asyncio.to_thread(
                upkeep.erase, lake_url=lake_url, dsn=dsn, environment="production", user_id=PERSON
            )
            posts = [client.post("/api/v1/events", content=lines(event(n))) for n in range(20)]
            task = asyncio.ensure_future(erasing)
            answers = await asyncio.gather(*posts)
            await task
            return sum(answer.json()["accepted"] for answer in answers)

    assert asyncio.run(story()) == 20


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        (b'{"unit_ids":{"user":"u1"}}', True),
        (b'{"unit_ids":{"user":"u11"}}', False),
        (b'{"u1":0}', True),
        (b'{"x":"\\u0075\\u0031"}', True),
        (b'broken "u1"', True),
        (b"broken u11 xu1", False),
    ],
)
def test_raw_mentions__id_as_value_or_word__found(raw: bytes, found: bool) -> None:
    assert raw_mentions(raw, {"u1"}) is found
