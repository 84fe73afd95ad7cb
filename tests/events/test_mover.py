"""Exactly once: killed between any two steps, twice at a time, against late commits, over a lost database."""

import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from deltalake import CommitProperties, Transaction, write_deltalake

from controlplane.events import lake, mover
from controlplane.events.addresses import child_environment
from controlplane.events.lake_lock import LakeBusy, lake_lock
from tests.events.conftest import NOW, Door, event

Rows = Callable[..., list[tuple[Any, ...]]]


def in_lake(lake_url: str) -> Counter[str]:
    """Event ids in the lake, with how often each stands there."""
    table = lake.open_table(lake_url)
    if table is None:
        return Counter()
    return Counter(table.to_pyarrow_table(columns=["event_id"])["event_id"].to_pylist())


def child(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "controlplane.events.mover", *arguments],
        env=dict(child_environment()),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def once_each(*numbers: int) -> Counter[str]:
    return Counter(f"e-{number}" for number in numbers)


def test_mover__events_of_every_field__arrive_as_the_contract_says(
    door: Door, dsn: str, lake_url: str
) -> None:
    assignment = {"experiment": "x", "phase": 2, "arm": "b", "arm_propensity": 0.25}
    item = {"id": "i1", "position": 1, "score": 3, "item_propensity": None, "rule_codes": ["override:o@1"]}
    whole = event(
        1,
        type="decision",
        name=...,
        surface="home-feed",
        occurred_at="2026-11-23T12:30:00.123456+01:00",
        unit_ids={"user": "u", "anonymous": "a", "session": "s", "request": "r"},
        decision_id="d1",
        revision=7,
        assignments=[assignment],
        items=[item],
        removed=[{"id": "i2", "reason": "hidden", "rule": "override:h@1"}],
        request={"seed": "ü", "deep": {"er": [1, None]}},
        properties={"free": True},
    )
    value = event(2, type="value", name="margin", value=12, currency="EUR", item_id="i1", schema_version=1)
    door.take_in(whole, value)
    assert mover.move(lake_url=lake_url, dsn=dsn) == mover.MoveReport(batches=1, rows=2)
    table = lake.open_table(lake_url)
    assert table is not None
    first, second = table.to_pyarrow_table().sort_by("event_id").to_pylist()
    empty_item = {"is_fallback": None, "is_visible": None}
    assert first == {
        "event_id": "e-1", "type": "decision", "schema_version": 1, "environment": "production",
        "surface": "home-feed", "occurred_at": datetime(2026, 11, 23, 11, 30, 0, 123456, tzinfo=UTC),
        "received_at": NOW, "received_day": "2026-11-23", "user_id": "u", "anonymous_id": "a", "session_id": "s",
        "request_id": "r", "decision_id": "d1", "revision": 7, "assignments": [assignment | {"would_be": None}],
        "items": [item | empty_item], "removed": [{"id": "i2", "reason": "hidden", "rule": "override:h@1"}],
        "item_id": None, "position": None, "name": None, "value": None, "currency": None,
        "request": '{"seed":"ü","deep":{"er":[1,null]}}', "properties": '{"free":true}', "source": "live",
    }  # fmt: skip
    assert (second["name"], second["value"], second["currency"], second["item_id"]) == (
        "margin",
        12.0,
        "EUR",
        "i1",
    )
    assert lake.LAKE_SCHEMA.names == list(first)


def test_mover__nothing_waits__makes_no_table(dsn: str, lake_url: str) -> None:
    assert mover.move(lake_url=lake_url, dsn=dsn) == mover.MoveReport()
    assert lake.open_table(lake_url) is None


def test_mover__moved_events__keep_their_id_lose_their_payload_and_are_counted(
    door: Door, dsn: str, lake_url: str, rows: Rows
) -> None:
    door.take_in(event(1), event(2), event(3, type="identify", name=...))
    mover.move(lake_url=lake_url, dsn=dsn)
    assert rows("SELECT event_id, payload FROM events_buffer ORDER BY 1") == [
        ("e-1", None), ("e-2", None), ("e-3", None),
    ]  # fmt: skip
    assert rows("SELECT day, type, verdict, count FROM events_count ORDER BY 2") == [
        (NOW.date(), "custom", "moved", 2), (NOW.date(), "identify", "moved", 1),
    ]  # fmt: skip
    assert door.take_in(event(1))["duplicate"] == 1


@pytest.mark.kill
@pytest.mark.parametrize("step", mover.STEPS)
def test_mover__killed_after_each_step__the_next_run_completes_exactly_once(
    door: Door, own_lake: str, rows: Rows, step: mover.Step
) -> None:
    door.take_in(*(event(number) for number in range(10)))
    killed = child("--once", "--rows", "6", "--stop-after", step)
    assert killed.returncode == 9, killed.stderr
    door.take_in(*(event(number) for number in range(8, 15)))
    again = child("--once", "--rows", "6")
    assert again.returncode == 0, again.stderr
    assert in_lake(own_lake) == once_each(*range(15))
    assert rows("SELECT count(*) FROM events_buffer WHERE payload IS NOT NULL") == [(0,)]
    assert rows("SELECT count(*) FROM events_batch WHERE moved_at IS NULL") == [(0,)]
    assert rows("SELECT sum(count) FROM events_count WHERE verdict = 'moved'") == [(15,)]


@pytest.mark.kill
def test_mover__killed_after_every_step_in_turn__nothing_missing_nothing_double(
    door: Door, own_lake: str, rows: Rows
) -> None:
    sent = 0
    for _ in range(2):
        for step in mover.STEPS:
            door.take_in(*(event(number) for number in range(sent, sent + 7)))
            sent += 7
            assert child("--once", "--rows", "5", "--stop-after", step).returncode == 9
    assert child("--once").returncode == 0
    assert in_lake(own_lake) == once_each(*range(sent))
    assert rows("SELECT sum(count) FROM events_count WHERE verdict = 'moved'") == [(sent,)]


@pytest.mark.kill
def test_mover__killed_by_signal_while_events_come_in__every_acknowledged_event_once(
    door: Door, own_lake: str
) -> None:
    sent = 0
    for pause in (0.0, 0.5, 0.8, 1.1, 1.4):
        door.take_in(*(event(number) for number in range(sent, sent + 500)))
        sent += 500
        process = subprocess.Popen(
            [sys.executable, "-m", "controlplane.events.mover", "--rows", "50"],
            env=dict(child_environment()),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            process.wait(timeout=pause)
        except subprocess.TimeoutExpired:
            os.kill(process.pid, 9)
        process.wait(timeout=10)
    assert child("--once").returncode == 0
    assert in_lake(own_lake) == once_each(*range(sent))


@pytest.mark.kill
def test_mover__two_processes_at_once__each_event_once(door: Door, own_lake: str) -> None:
    door.take_in(*(event(number) for number in range(400)))
    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(lambda _: child("--once", "--rows", "20"), range(2)))
    assert [outcome.returncode for outcome in outcomes] == [0, 0], [outcome.stderr for outcome in outcomes]
    assert in_lake(own_lake) == once_each(*range(400))


def test_mover__events_keep_coming__moves_what_waited_when_it_began_and_ends(
    door: Door, dsn: str, lake_url: str
) -> None:
    door.take_in(*(event(number) for number in range(3)))
    over = threading.Event()

    def stream() -> int:
        sent = 3
        while not over.wait(0.002):
            door.take_in(event(sent))
            sent += 1
        return sent

    with ThreadPoolExecutor(1) as pool:
        streaming = pool.submit(stream)
        try:
            moved = mover.move(lake_url=lake_url, dsn=dsn, rows=1)
        finally:
            over.set()
        sent = streaming.result(30)
    assert moved == mover.MoveReport(batches=3, rows=3)
    assert sent > 4
    assert mover.move(lake_url=lake_url, dsn=dsn).rows == sent - 3


def test_mover__a_commit_arrives_late_with_a_lower_number__it_is_moved_too(
    door: Door, dsn: str, lake_url: str
) -> None:
    insert = (
        "INSERT INTO events_buffer (environment, event_id, type, source, received_at, payload)"
        " VALUES ('production', 'e-0', 'custom', 'live', %s, %s)"
    )
    payload = (
        '{"event_id":"e-0","type":"custom","occurred_at":"2026-11-23T11:00:00Z","unit_ids":{"user":"u"}}'
    )
    with psycopg.connect(dsn) as slow:
        slow.execute(insert, [NOW, payload])
        door.take_in(event(1), event(2))
        mover.move(lake_url=lake_url, dsn=dsn)
        assert in_lake(lake_url) == once_each(1, 2)
        slow.commit()
    mover.move(lake_url=lake_url, dsn=dsn)
    assert in_lake(lake_url) == once_each(0, 1, 2)


def test_mover__lock_held_elsewhere__busy_and_nothing_claimed(
    door: Door, dsn: str, lake_url: str, rows: Rows
) -> None:
    door.take_in(event(1))
    with lake_lock(dsn), pytest.raises(LakeBusy):
        mover.move(lake_url=lake_url, dsn=dsn, wait_seconds=0.05)
    assert rows("SELECT count(*) FROM events_batch") == [(0,)]


def test_mover__lake_is_ahead_of_a_restored_database__new_events_are_not_taken_for_written(
    door: Door, dsn: str, lake_url: str, rows: Rows
) -> None:
    table = lake.ensure_table(lake_url)
    lake.append(table, lake.rows_table([]), app_id=mover.APP_ID, version=41)
    door.take_in(event(1))
    mover.move(lake_url=lake_url, dsn=dsn)
    assert in_lake(lake_url) == once_each(1)
    assert rows("SELECT number FROM events_batch") == [(42,)]


def test_lake_append__somebody_committed_since_the_table_was_opened__conflict(lake_url: str) -> None:
    early, late = lake.ensure_table(lake_url), lake.ensure_table(lake_url)
    lake.append(early, lake.rows_table([]), app_id="a", version=1)
    with pytest.raises(lake.LakeConflict):
        lake.append(late, lake.rows_table([]), app_id="a", version=1)


def test_mover__payload_that_is_no_row_any_more__quarantined_and_the_rest_moves(
    door: Door, dsn: str, lake_url: str, rows: Rows
) -> None:
    door.take_in(event(1), event(2))
    with psycopg.connect(dsn) as vandal:
        vandal.execute("""UPDATE events_buffer SET payload = '{"broken": true}' WHERE event_id = 'e-1'""")
    mover.move(lake_url=lake_url, dsn=dsn)
    assert in_lake(lake_url) == once_each(2)
    assert rows("SELECT code, raw FROM events_quarantine") == [("unmovable", b'{"broken": true}')]


def test_mover__more_bytes_than_a_batch_takes__several_batches(
    door: Door, dsn: str, lake_url: str, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mover, "BATCH_BYTES", 250)
    door.take_in(*(event(number) for number in range(10)))
    report = mover.move(lake_url=lake_url, dsn=dsn)
    assert (report.rows, report.batches) == (10, 4)
    assert in_lake(lake_url) == once_each(*range(10))


def test_transaction_version__after_checkpoint_and_compaction__still_recorded(lake_url: str) -> None:
    table = lake.ensure_table(lake_url)
    for version in range(1, 4):
        lake.append(table, lake.rows_table([]), app_id=mover.APP_ID, version=version)
    lake.compact(table, days=lake.days(table), min_files=2)
    lake.tidy_log(table)
    opened = lake.open_table(lake_url)
    assert opened is not None
    assert opened.transaction_version(mover.APP_ID) == 3


def test_delta__same_version_offered_twice_in_turn__is_accepted_which_is_why_the_mover_asks_first(
    lake_url: str,
) -> None:
    table = lake.ensure_table(lake_url)
    properties = CommitProperties(app_transactions=[Transaction("a", 1)])
    row = {"event_id": "e-1", "received_day": "2026-11-23"}
    for _ in range(2):
        write_deltalake(table, lake.rows_table([row]), mode="append", commit_properties=properties)
    assert in_lake(lake_url) == Counter({"e-1": 2})
