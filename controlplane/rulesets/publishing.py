"""Publishing is serial per environment: the lock that makes it so, and the snapshot that is newer than the lock."""

from __future__ import annotations

import hashlib
from collections.abc import Generator
from contextlib import contextmanager
from typing import ClassVar

import psycopg
from django.conf import settings
from django.db import connection, transaction

from controlplane.core.errors import Unavailable

CONNECT_SECONDS = 5
COMPILE_SECONDS = 60


class PublishBusy(Unavailable):
    """Another publish of the environment holds the lock longer than the caller wants to wait."""

    code: ClassVar[str] = "publish_busy"
    title: ClassVar[str] = "Another publish is under way"


def lock_key(environment: str) -> int:
    """The environment's advisory lock, a signed 64-bit number."""
    hashed = hashlib.sha256(f"rulesets.publish:{environment}".encode()).digest()
    return int.from_bytes(hashed[:8], signed=True)


@contextmanager
def publishing(environment: str, *, wait: float = 30.0) -> Generator[None, None, None]:
    """Hold the environment's publish lock; the transaction that publishes begins inside.

    A session lock on a connection of its own, past any pooler: PostgreSQL gives it back when this process dies. A
    transaction that began before could not see what was committed while it waited, so one under way is refused.
    Waits at most `wait` seconds. Raises PublishBusy, or Unavailable when the database does not answer.
    """
    if connection.in_atomic_block:
        raise RuntimeError("take the publish lock before the transaction, not inside one")
    try:
        session = psycopg.connect(
            settings.DATABASE_DIRECT_URL,
            autocommit=True,
            connect_timeout=CONNECT_SECONDS,
            application_name=f"publish {environment}"[:60],
        )
    except psycopg.OperationalError as error:
        raise Unavailable("The database is not answering; nothing was published.") from error
    with session:
        try:
            session.execute("SELECT set_config('lock_timeout', %s, false)", [f"{max(1, int(wait * 1e3))}ms"])
            session.execute("SELECT pg_advisory_lock(%s)", [lock_key(environment)])
        except psycopg.errors.LockNotAvailable as error:
            raise PublishBusy(
                f"Another publish of {environment} has been under way for {wait:g} s; try again."
            ) from error
        except psycopg.OperationalError as error:
            raise Unavailable("The database is not answering; nothing was published.") from error
        yield


@contextmanager
def snapshot() -> Generator[None, None, None]:
    """A REPEATABLE READ transaction: all sources read one and the same instant."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", [f"{COMPILE_SECONDS}s"])
        yield
