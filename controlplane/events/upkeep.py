"""What is done to the lake besides filling it: joining small files, retention, erasure. Each holds the lake lock.

Loads the lake: run it through `manage.py lake_work`, never in a process that forks.
"""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import orjson
import psycopg
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from controlplane.events import lake, traces
from controlplane.events.lake_lock import lake_lock
from controlplane.events.mover import move_locked
from controlplane.events.traces import Person

COMPACT_FILES = 8
READERS_HOURS = 24
"""How long a reader may go on with the version of the table it opened."""


def compact(*, lake_url: str, dsn: str, min_files: int = COMPACT_FILES) -> int:
    """Join each day's small files, drop files no reader can need, tidy the log; returns how many days were joined."""
    with lake_lock(dsn):
        table = lake.open_table(lake_url)
        if table is None:
            return 0
        joined = lake.compact(table, days=lake.days(table), min_files=min_files)
        table.update_incremental()
        lake.vacuum(table, hours=READERS_HOURS)
        lake.tidy_log(table)
        return joined


def retain(*, lake_url: str, dsn: str, days_per_type: Mapping[str, int], at: datetime) -> Counter[str]:
    """Drop the events whose type's days are over, counted from the day they were received; returns rows per type.

    Files are deleted when readers are done with them, at most a day later.
    """
    dropped: Counter[str] = Counter()
    if not days_per_type:
        return dropped
    first_kept = {
        kind: (at - timedelta(days=days)).date().isoformat() for kind, days in days_per_type.items()
    }
    with lake_lock(dsn):
        table = lake.open_table(lake_url)
        if table is None:
            return dropped
        for day in lake.days(table):
            expired = frozenset(kind for kind, first in first_kept.items() if day < first)
            dropped.update(_drop_types(table, day, expired))
        if dropped:
            lake.vacuum(table, hours=READERS_HOURS)
    return dropped


def _drop_types(table: DeltaTable, day: str, expired: frozenset[str]) -> dict[str, int]:
    """Drop one day's rows of some types; returns how many of each."""
    present = _count_types(table, day)
    gone = {kind: count for kind, count in present.items() if kind in expired}
    if gone and gone.keys() == present.keys():
        lake.drop_day(table, day)
    elif gone:
        types = pa.array(sorted(expired), pa.string())

        def others(batch: pa.RecordBatch) -> pa.RecordBatch:
            return batch.filter(pc.invert(pc.is_in(batch.column("type"), value_set=types)))

        lake.rewrite_day(table, day, others)
    return gone


def _count_types(table: DeltaTable, day: str) -> Counter[str]:
    counts: Counter[str] = Counter()
    for batch in lake.scan(table, ["type"], day):
        for entry in pc.value_counts(batch.column("type")).to_pylist():
            counts[entry["values"]] += entry["counts"]
    return counts


def erase(*, lake_url: str, dsn: str, environment: str, user_id: str) -> Counter[str]:
    """Erase one person from buffer, quarantine and lake; returns what was removed where. Safe to repeat.

    Drains the buffer first, so that everything acknowledged before the call is covered. Afterwards no file of the
    lake holds the id: rewritten days are new files, and every file that is not of the newest version is deleted.
    """
    removed: Counter[str] = Counter()
    with lake_lock(dsn) as connection:
        move_locked(connection, lake_url=lake_url)
        table = lake.open_table(lake_url)
        person = Person(environment, user_id, _anonymous_ids(table, environment, user_id))
        removed["buffer"] = _erase_buffer(connection, person)
        removed["quarantine"] = _erase_quarantine(connection, person)
        if table is not None:
            for day in lake.days(table):
                own, named = _count_traces(table, day, person)
                if own or named:
                    lake.rewrite_day(table, day, lambda batch: traces.erase_rows(batch, person))
                removed["lake"] += own
                removed["lake_documents"] += named
            lake.vacuum(table, hours=0)
    return removed


def _anonymous_ids(table: DeltaTable | None, environment: str, user_id: str) -> frozenset[str]:
    """Anonymous ids that identify events tie to this user and to no other."""
    ties: dict[str, set[str]] = {}
    if table is None:
        return frozenset()
    for day in lake.days(table):
        for batch in lake.scan(table, ["environment", "type", "user_id", "anonymous_id"], day):
            tied = batch.filter(
                pc.and_(
                    pc.and_(
                        pc.equal(batch.column("type"), "identify"),
                        pc.equal(batch.column("environment"), environment),
                    ),
                    pc.and_(pc.is_valid(batch.column("user_id")), pc.is_valid(batch.column("anonymous_id"))),
                )
            )
            for row in tied.to_pylist():
                ties.setdefault(row["anonymous_id"], set()).add(row["user_id"])
    return frozenset(anonymous for anonymous, users in ties.items() if users == {user_id})


def _erase_buffer(connection: psycopg.Connection[Any], person: Person) -> int:
    """Events that came in since the buffer was drained: the person's lose their payload, their id stays seen."""
    waiting = connection.execute(
        "SELECT event_id, payload FROM events_buffer WHERE environment = %s AND payload IS NOT NULL",
        [person.environment],
    ).fetchall()
    own = 0
    for event_id, payload in waiting:
        event = orjson.loads(payload)
        if traces.belongs_to(event, person):
            own += 1
            kept = None
        elif traces.mentions(event, person.names):
            kept = orjson.dumps(traces.without_mentions(event, person.names)).decode()
        else:
            continue
        connection.execute(
            "UPDATE events_buffer SET payload = %s WHERE environment = %s AND event_id = %s",
            [kept, person.environment, event_id],
        )
    return own


def _erase_quarantine(connection: psycopg.Connection[Any], person: Person) -> int:
    with connection.transaction(), connection.cursor(name="quarantine") as cursor:
        cursor.execute("SELECT id, raw FROM events_quarantine WHERE environment = %s", [person.environment])
        found = [key for key, raw in cursor if traces.raw_mentions(bytes(raw), person.names)]
        connection.execute("DELETE FROM events_quarantine WHERE id = ANY(%s)", [found])
    return len(found)


def _count_traces(table: DeltaTable, day: str, person: Person) -> tuple[int, int]:
    """How many rows of the day are the person's own, and how many documents of others name them."""
    own = named = 0
    columns = ["environment", "user_id", "anonymous_id", "properties", "request"]
    for batch in lake.scan(table, columns, day):
        mine = traces.own_rows(batch, person)
        others = pc.and_(pc.invert(mine), pc.equal(batch.column("environment"), person.environment))
        own += pc.sum(mine).as_py() or 0
        for name in ("properties", "request"):
            named += pc.sum(pc.and_(others, traces.mentioning(batch.column(name), person))).as_py() or 0
    return own, named
