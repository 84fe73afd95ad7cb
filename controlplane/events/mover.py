"""Moves events from the buffer to the lake, each exactly once, however often and wherever it is killed.

Under the lake lock: claim waiting rows into a numbered batch (one transaction), write the batch to the lake as the
writer's transaction of that number (one commit), mark the batch moved and drop its payloads (one transaction). Whoever
comes next finishes the oldest open batch first: the number recorded in the table tells whether it was written.

A batch names its rows; it is never "everything up to an id", because transactions commit out of id order.

Runs as a process of its own, `python -m controlplane.events.mover`: nothing that forks may load the lake.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, LiteralString

import orjson
import psycopg
from deltalake import DeltaTable
from django.conf import settings

from controlplane.events import lake
from controlplane.events.buffer import Bad, Submission, register_arrays, run, write
from controlplane.events.lake_lock import LakeBusy, lake_lock
from controlplane.events.schemas import lake_row
from controlplane.events.shapes import Refusal

APP_ID = "controlplane.mover"
BATCH_ROWS = 20_000
BATCH_BYTES = 64 * 2**20
CONFLICT_ATTEMPTS = 5

Step = Literal["locked", "claimed", "read", "written", "marked"]
STEPS: tuple[Step, ...] = ("locked", "claimed", "read", "written", "marked")

NEWEST_WAITING: LiteralString = "SELECT max(seq) FROM events_buffer WHERE payload IS NOT NULL"
WAITS: LiteralString = (
    "SELECT EXISTS (SELECT FROM events_buffer WHERE payload IS NOT NULL AND seq <= %s::bigint)"
)
OPEN_BATCH: LiteralString = "SELECT number FROM events_batch WHERE moved_at IS NULL ORDER BY number LIMIT 1"
CLAIM: LiteralString = """
WITH waiting AS (
    SELECT seq, sum(pg_column_size(payload)) OVER (ORDER BY seq) - pg_column_size(payload) AS bytes_before
    FROM (SELECT seq, payload FROM events_buffer WHERE payload IS NOT NULL ORDER BY seq LIMIT %(rows)s) AS first
), picked AS (SELECT seq FROM waiting WHERE bytes_before < %(bytes)s)
INSERT INTO events_batch (number, members, rows)
SELECT greatest((SELECT coalesce(max(number), 0) FROM events_batch), %(recorded)s) + 1,
       range_agg(int8range(seq, seq + 1))::text, count(*)
FROM picked HAVING count(*) > 0
RETURNING number
"""
READ: LiteralString = """
SELECT b.seq, b.environment, b.type, b.source, b.received_at, b.payload
FROM events_batch, unnest(members::int8multirange) AS span
JOIN events_buffer b ON b.seq >= lower(span) AND b.seq < upper(span)
WHERE number = %s AND b.payload IS NOT NULL ORDER BY b.seq
"""
DROP_PAYLOADS: LiteralString = (
    "UPDATE events_buffer SET payload = NULL WHERE seq = ANY(%s) AND payload IS NOT NULL"
)
MARK: LiteralString = """
WITH gone AS (
    UPDATE events_buffer b SET payload = NULL
    FROM events_batch, unnest(members::int8multirange) AS span
    WHERE number = %s AND b.seq >= lower(span) AND b.seq < upper(span) AND b.payload IS NOT NULL
    RETURNING b.environment, b.type, (b.received_at AT TIME ZONE 'UTC')::date AS day
)
INSERT INTO events_count AS known (environment, day, type, verdict, count)
SELECT environment, day, type, 'moved', count(*) FROM gone GROUP BY environment, day, type
ORDER BY environment, day, type
ON CONFLICT (environment, day, type, verdict) DO UPDATE SET count = known.count + excluded.count
"""
CLOSE_BATCH: LiteralString = "UPDATE events_batch SET moved_at = now(), members = '{}' WHERE number = %s"


@dataclass(slots=True)
class MoveReport:
    """What one run moved."""

    batches: int = 0
    rows: int = 0


def move(
    *,
    lake_url: str,
    dsn: str,
    wait_seconds: float = 60.0,
    rows: int = BATCH_ROWS,
    stop_after: Step | None = None,
) -> MoveReport:
    """Move everything that waits now. `stop_after` kills this process after a step, for tests of exactly that.

    Raises LakeBusy when another holds the lake lock for longer than `wait_seconds`.
    """
    with lake_lock(dsn, wait_seconds=wait_seconds) as connection:
        return move_locked(connection, lake_url=lake_url, rows=rows, stop_after=stop_after)


def move_locked(
    connection: psycopg.Connection[Any],
    *,
    lake_url: str,
    rows: int = BATCH_ROWS,
    stop_after: Step | None = None,
) -> MoveReport:
    """The same for a caller who holds the lake lock on `connection`.

    What arrives meanwhile is the next run's, else a steady stream would hold the lock for ever, in ever smaller batches.
    """
    register_arrays(connection.adapters)
    report = MoveReport()
    _step("locked", stop_after)
    newest = _one(connection, NEWEST_WAITING)
    while True:
        table = lake.open_table(lake_url)
        number = _open_batch(connection)
        if number is None and _one(connection, WAITS, newest):
            number = _claim(connection, recorded=_recorded(table), rows=rows)
        if number is None:
            return report
        _step("claimed", stop_after)
        report.rows += _write(connection, number, lake_url=lake_url, stop_after=stop_after)
        report.batches += 1
        _step("written", stop_after)
        with connection.transaction():
            connection.execute(MARK, [number])
            connection.execute(CLOSE_BATCH, [number])
        _step("marked", stop_after)


def _one(connection: psycopg.Connection[Any], question: LiteralString, *values: object) -> Any:
    row = connection.execute(question, values).fetchone()
    return None if row is None else row[0]


def _recorded(table: DeltaTable | None) -> int:
    """The number of the newest batch that stands in the lake."""
    return 0 if table is None else int(table.transaction_version(APP_ID) or 0)


def _open_batch(connection: psycopg.Connection[Any]) -> int | None:
    row = connection.execute(OPEN_BATCH).fetchone()
    return None if row is None else int(row[0])


def _claim(connection: psycopg.Connection[Any], *, recorded: int, rows: int) -> int | None:
    """Claim waiting rows under a number the lake has not seen; None when nothing waits."""
    row = connection.execute(CLAIM, {"rows": rows, "bytes": BATCH_BYTES, "recorded": recorded}).fetchone()
    return None if row is None else int(row[0])


def _write(
    connection: psycopg.Connection[Any], number: int, *, lake_url: str, stop_after: Step | None
) -> int:
    """Write the batch unless the table says it was; returns how many rows went in."""
    for _ in range(CONFLICT_ATTEMPTS):
        table = lake.ensure_table(lake_url)
        if _recorded(table) >= number:
            return 0
        rows = _rows(connection, number)
        _step("read", stop_after)
        if not rows:
            return 0
        try:
            lake.append(table, lake.rows_table(rows), app_id=APP_ID, version=number)
        except lake.LakeConflict:
            continue
        return len(rows)
    raise LakeBusy("the lake changed under its lock again and again")


def _rows(connection: psycopg.Connection[Any], number: int) -> list[dict[str, Any]]:
    """The batch as rows of the lake. What no longer becomes a row goes to quarantine instead of blocking the rest."""
    rows: list[dict[str, Any]] = []
    unfit: list[tuple[int, datetime, Submission]] = []
    for seq, environment, kind, source, received_at, payload in connection.execute(READ, [number]):
        try:
            event = orjson.loads(payload)
            rows.append(lake_row(event, environment=environment, received_at=received_at, source=source))
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            refusal = Refusal("unmovable", "", f"no row of the lake: {error!r}", "correct it, then re-drive")
            bad = Bad(refusal, "", kind, payload.encode())
            unfit.append((seq, received_at, Submission(environment, source, (), (bad,))))
    if unfit:
        with connection.transaction(), connection.cursor() as cursor:
            run(cursor, write([submission for _, _, submission in unfit], at=unfit[0][1]))
            cursor.execute(DROP_PAYLOADS, [[seq for seq, _, _ in unfit]])
    return rows


def _step(done: Step, stop_after: Step | None) -> None:
    if done == stop_after:
        os._exit(9)


def main(arguments: Sequence[str] | None = None) -> int:
    """Move what waits, once or for as long as events keep coming; prints one JSON line."""
    parser = argparse.ArgumentParser(prog="python -m controlplane.events.mover", description=main.__doc__)
    parser.add_argument(
        "--once", action="store_true", help="end when nothing waits; else look again every second"
    )
    parser.add_argument(
        "--seconds", type=float, default=50.0, help="without --once: how long to keep looking"
    )
    parser.add_argument("--rows", type=int, default=BATCH_ROWS, help="rows per batch")
    parser.add_argument("--wait", type=float, default=60.0, help="seconds to wait for the lake lock")
    parser.add_argument("--stop-after", choices=STEPS, help="die after this step (for tests)")
    options = parser.parse_args(arguments)
    ends_at = time.monotonic() + (0 if options.once else options.seconds)
    total = MoveReport()
    try:
        while True:
            report = move(
                lake_url=settings.LAKE_URL,
                dsn=settings.DATABASE_DIRECT_URL,
                wait_seconds=options.wait,
                rows=options.rows,
                stop_after=options.stop_after,
            )
            total.batches += report.batches
            total.rows += report.rows
            if time.monotonic() >= ends_at:
                break
            time.sleep(1)
    except LakeBusy as busy:
        sys.stderr.write(f"{busy}\n")
        return 75  # EX_TEMPFAIL: the next sweep tries again
    sys.stdout.write(json.dumps({"batches": total.batches, "rows": total.rows}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
