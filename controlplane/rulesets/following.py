"""Follows the database: heads and tokens, at once when it notifies, every five seconds in any case, from disk before that."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import structlog
from psycopg.rows import dict_row

from controlplane.rulesets import state_file
from controlplane.rulesets.heads import HEADS_QUERY, SECTIONS_QUERY, Heads, HeadState
from controlplane.rulesets.token_table import QUERY as TOKENS_QUERY
from controlplane.rulesets.token_table import TokenTable

log = structlog.get_logger(__name__)
CHANNELS = ("ruleset_head", "core_tokens")
POLL_SECONDS = 5.0
REFRESH_SECONDS = 30.0
CONNECT_SECONDS = 5
RETRY_SECONDS = 1.0
KEEP_EVERY = timedelta(minutes=1)

Connection = psycopg.AsyncConnection[dict[str, Any]]


class Follower:
    """Keeps heads and tokens the newest, and the state file in step with them.

    `source` is where the present content came from: `nothing`, `state file` or `database`. `confirmed_at` is when the
    database last said that it is the newest. `database` is `ok` or the kind of error.
    """

    def __init__(
        self, dsn: str, *, heads: Heads, tokens: TokenTable, path: Path, clock: Callable[[], datetime]
    ) -> None:
        self._dsn = dsn
        self._heads = heads
        self._tokens = tokens
        self._path = path
        self._clock = clock
        self._task: asyncio.Task[None] | None = None
        self._first = asyncio.Event()
        self.source = "nothing"
        self.database = "not asked yet"
        self.confirmed_at: datetime | None = None
        self.written_at: datetime | None = None
        self._noted_at = clock()

    async def start(self, *, wait: float) -> None:
        """Take the state file in, then follow; returns when the database has answered, or after `wait` seconds."""
        await self._restore()
        self._task = asyncio.create_task(self._follow(), name="follow the database")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._first.wait(), wait)

    async def close(self) -> None:
        """Stop following."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _restore(self) -> None:
        try:
            kept = await asyncio.to_thread(state_file.read, self._path)
            if kept is None:
                return
            content, written_at = kept
            states = {one["environment"]: HeadState.from_json(one) for one in content["heads"]}
            self._tokens.replace(content["tokens"])
            confirmed_at = datetime.fromisoformat(content["confirmed_at"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.warning("state_file_unfit", path=str(self._path), error=str(error))
            return
        await self._take(states)
        self.source, self.confirmed_at, self.written_at = "state file", confirmed_at, written_at

    async def _follow(self) -> None:
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(
                    self._dsn,
                    autocommit=True,
                    connect_timeout=CONNECT_SECONDS,
                    row_factory=dict_row,
                    application_name="serve",
                ) as connection:
                    await self._listen(connection)
            except (psycopg.Error, OSError, TimeoutError) as error:
                if self.database != type(error).__name__:
                    log.warning("database_away", error=str(error).strip())
                self.database = type(error).__name__
            except Exception:  # whatever the database holds, the process keeps answering from memory
                log.exception("follower_failed")
                self.database = "unexpected"
            self._first.set()
            await asyncio.sleep(RETRY_SECONDS)

    async def _listen(self, connection: Connection) -> None:
        for channel in CHANNELS:
            await connection.execute(f"LISTEN {channel}")
        while True:
            async with asyncio.timeout(REFRESH_SECONDS):
                await self._refresh(connection)
            self._first.set()
            async for _ in connection.notifies(timeout=POLL_SECONDS, stop_after=1):
                pass

    async def _refresh(self, connection: Connection) -> None:
        """Read heads and tokens; build, swap and keep what is new."""
        now = self._clock()
        states = await self._read_heads(connection)
        cursor = await connection.execute(TOKENS_QUERY)
        news = self._tokens.replace(await cursor.fetchall())
        if states != dict(self._heads.states) or news:
            await self._take(states)
            news = True
        self.source, self.database, self.confirmed_at = "database", "ok", now
        if news or self.written_at is None or now - self.written_at >= KEEP_EVERY:
            await self._keep(now)
        if now - self._noted_at >= KEEP_EVERY:
            self._noted_at = now
            await connection.execute(
                "UPDATE core_apitoken SET last_used_at = %s WHERE prefix = ANY(%s)",
                [now, self._tokens.take_used()],
            )

    async def _read_heads(self, connection: Connection) -> dict[str, HeadState]:
        """Every head; sections already in memory are not read again. A damaged head leaves the one before in place."""
        present = self._heads.states
        found: dict[str, HeadState] = {}
        cursor = await connection.execute(HEADS_QUERY)
        for row in await cursor.fetchall():
            environment, was = row["environment"], present.get(row["environment"])
            if was is not None and was.manifest == row["manifest"]:
                found[environment] = was
                continue
            texts = was.by_digest() if was else {}
            parts = await connection.execute(SECTIONS_QUERY, [row["id"], list(texts)])
            fresh = {part["name"]: part["body"] for part in await parts.fetchall()}
            sections = {
                name: fresh[name] if name in fresh else texts.get(digest, "")
                for name, digest in row["manifest"]["sections"].items()
            }
            state = HeadState(environment, row["number"], row["manifest"], sections)
            try:
                state.check()
            except ValueError as damaged:
                log.warning("head_damaged", environment=environment, error=str(damaged))
                found |= {environment: was} if was else {}
            else:
                found[environment] = state
        return found

    async def _take(self, states: dict[str, HeadState]) -> None:
        documents = await asyncio.to_thread(self._heads.prepare, states, self._tokens.readers())
        self._heads.swap(states, documents)

    async def _keep(self, now: datetime) -> None:
        content = {
            "confirmed_at": now.isoformat(),
            "tokens": self._tokens.rows(),
            "heads": [state.to_json() for state in self._heads.states.values()],
        }
        try:
            await asyncio.to_thread(state_file.write, self._path, content, at=now)
        except OSError as error:  # a full disk costs the next start its memory, nothing now
            log.warning("state_file_not_written", path=str(self._path), error=str(error))
        else:
            self.written_at = now
