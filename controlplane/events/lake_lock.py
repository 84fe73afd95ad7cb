"""The one lock of everything that changes the lake: mover, erasure, retention, compaction, backup.

A PostgreSQL session advisory lock on a direct connection (a pooler would hand the session to somebody else). It ends
with the session, so a killed holder never blocks its successors. Imports nothing of the lake itself.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

LAKE_LOCK = "controlplane.lake"


class LakeBusy(Exception):
    """The lake lock was not free within the time given."""


@contextmanager
def lake_lock(dsn: str, *, wait_seconds: float = 60.0) -> Iterator[psycopg.Connection]:
    """Hold the lake lock; yields the autocommit connection that holds it.

    `wait_seconds=0` asks once. Raises LakeBusy when the lock is not free in time, psycopg.Error without a database.
    """
    with psycopg.connect(dsn, autocommit=True, keepalives_idle=10) as connection:
        _acquire(connection, wait_seconds)
        yield connection


def _acquire(connection: psycopg.Connection, wait_seconds: float) -> None:
    if wait_seconds <= 0:
        row = connection.execute("SELECT pg_try_advisory_lock(hashtext(%s))", [LAKE_LOCK]).fetchone()
        if row is None or not row[0]:
            raise LakeBusy("somebody else is changing the lake")
        return
    connection.execute("SELECT set_config('lock_timeout', %s, false)", [f"{int(wait_seconds * 1000)}ms"])
    try:
        connection.execute("SELECT pg_advisory_lock(hashtext(%s))", [LAKE_LOCK])
    except psycopg.errors.LockNotAvailable as error:
        raise LakeBusy(f"somebody else is changing the lake, for more than {wait_seconds:g} s") from error
    connection.execute("SELECT set_config('lock_timeout', '0', false)")
