"""The one writer of a serving process: commits what concurrent requests bring, durably and together."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Any

import psycopg
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from controlplane.events.buffer import Submission, register_arrays, run_async, write

MAX_RECORDS_PER_COMMIT = 20_000
CONNECT_SECONDS = 5.0


class Overloaded(Exception):
    """The database cannot take this in now; the same request may succeed later."""


class Writer:
    """Commits the submissions of all concurrent requests, as many at a time as wait, on one connection."""

    def __init__(self, dsn: str, *, clock: Callable[[], datetime]) -> None:
        self._pool: AsyncConnectionPool[psycopg.AsyncConnection[Any]] = AsyncConnectionPool(
            dsn,
            min_size=1,
            max_size=1,
            open=False,
            timeout=CONNECT_SECONDS,
            configure=_configure,
            check=AsyncConnectionPool.check_connection,
            kwargs={"connect_timeout": int(CONNECT_SECONDS)},
        )
        self._clock = clock
        self._waiting: list[tuple[Submission, asyncio.Future[None]]] = []
        self._wake = asyncio.Event()
        self._closing = False
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Open the pool and begin to write; does not wait for the database."""
        if self._task is None:
            self._task = asyncio.create_task(self._work())
            await self._pool.open(wait=False)

    async def close(self) -> None:
        """Write what waits, then stop."""
        self._closing = True
        self._wake.set()
        if self._task is not None:
            await self._task
        await self._pool.close()

    async def write(self, submission: Submission) -> None:
        """Returns once the submission is durable. Raises Overloaded; then nothing of it is acknowledged."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((submission, done))
        self._wake.set()
        await done

    async def _work(self) -> None:
        while True:
            await self._wake.wait()
            group = self._take()
            if not group:
                if self._closing:
                    return
                self._wake.clear()
                continue
            try:
                await self._commit([submission for submission, _ in group])
            except (psycopg.Error, PoolTimeout, OSError) as error:
                _settle(
                    group, Overloaded(f"the database does not take events in now: {type(error).__name__}")
                )
            else:
                _settle(group, None)

    def _take(self) -> list[tuple[Submission, asyncio.Future[None]]]:
        group, records = [], 0
        while self._waiting and records < MAX_RECORDS_PER_COMMIT:
            group.append(self._waiting.pop(0))
            records += len(group[-1][0].good) + len(group[-1][0].bad)
        return group

    async def _commit(self, submissions: list[Submission]) -> None:
        for attempts_left in (2, 1, 0):
            try:
                async with self._pool.connection() as connection, connection.cursor() as cursor:
                    await run_async(cursor, write(submissions, at=self._clock()))
                return
            except (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure):
                if not attempts_left:
                    raise


async def _configure(connection: psycopg.AsyncConnection[Any]) -> None:
    register_arrays(connection.adapters)
    await connection.set_autocommit(True)
    await connection.execute("SET synchronous_commit TO on")
    await connection.execute("SET statement_timeout TO '30s'")
    await connection.set_autocommit(False)


def _settle(group: list[tuple[Submission, asyncio.Future[None]]], error: Exception | None) -> None:
    for _, done in group:
        if done.done():
            continue  # the request was cancelled
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)
