"""Events on their way: a clock that stands still, events that are right, and the doors they come through."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
import psycopg
import pytest

from controlplane.core.actors import Actor
from controlplane.events.addresses import direct_dsn
from controlplane.events.ingest import Headers, Ingest
from tests.events.tokens import Token

NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
SURFACES = frozenset({"home-feed", "search"})


@dataclass
class Door:
    """The ingest door with the tokens it knows."""

    dsn: str
    tokens: Mapping[str, Token] = field(default_factory=lambda: {"good": Token()})
    surfaces: frozenset[str] | None = SURFACES
    at: datetime = NOW

    def authenticate(self, headers: Headers) -> Token | None:
        for name, value in headers:
            if name.lower() == b"authorization":
                return self.tokens.get(value.decode().removeprefix("Bearer "))
        return None

    def application(self) -> Ingest:
        return Ingest(
            self.dsn,
            authenticate=self.authenticate,
            surfaces=lambda _environment: self.surfaces,
            clock=lambda: self.at,
        )

    @asynccontextmanager
    async def open(self) -> AsyncIterator[httpx.AsyncClient]:
        application = self.application()
        await application.start()
        transport = httpx.ASGITransport(app=application)
        try:
            async with httpx.AsyncClient(transport=transport, base_url="http://serve") as client:
                client.headers["authorization"] = "Bearer good"
                yield client
        finally:
            await application.close()

    def post(
        self, content: bytes, *, query: str = "", headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """One request through a door of its own."""

        async def once() -> httpx.Response:
            async with self.open() as client:
                return await client.post(
                    f"/api/v1/events{query}", content=content, headers=dict(headers or {})
                )

        return asyncio.run(once())

    def take_in(self, *events: Mapping[str, Any]) -> dict[str, Any]:
        """Post events that are known to be readable; returns the answer."""
        answer = self.post(lines(*events))
        assert answer.status_code == 202, answer.text
        result: dict[str, Any] = answer.json()
        return result


def event(number: int = 1, **fields: Any) -> dict[str, Any]:
    """A good event, with other or further fields; a field set to `...` is left out."""
    whole = {
        "event_id": f"e-{number}",
        "type": "custom",
        "name": "seen",
        "occurred_at": "2026-11-23T11:59:00Z",
        "unit_ids": {"user": f"user-{number}"},
        **fields,
    }
    return {name: value for name, value in whole.items() if value is not ...}


def lines(*events: Mapping[str, Any]) -> bytes:
    return b"\n".join(json.dumps(one, separators=(",", ":"), ensure_ascii=False).encode() for one in events)


@pytest.fixture
def dsn(transactional_db: None) -> str:
    """The address of the test database, for connections that are not Django's."""
    return direct_dsn()


@pytest.fixture
def rows(dsn: str) -> Iterator[Callable[..., list[tuple[Any, ...]]]]:
    """Ask the database from a connection of the test's own."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        yield lambda query, *parameters: connection.execute(query, list(parameters)).fetchall()


@pytest.fixture
def door(dsn: str) -> Door:
    return Door(dsn)


@pytest.fixture
def operator() -> Actor:
    return Actor(kind="user", id="7", name="Olga", grants=frozenset({("operator", None)}))


@pytest.fixture
def viewer() -> Actor:
    return Actor(kind="user", id="8", name="Vera", grants=frozenset({("viewer", None)}))
