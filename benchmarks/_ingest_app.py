"""The ingest door as granian runs it for the benchmark: the product's code, with one token that it always knows."""

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from controlplane.events.ingest import Headers, Ingest


@dataclass(frozen=True)
class _Token:
    id: str = "bench"
    environment: str = "production"
    scopes: frozenset[str] = frozenset({"events:write"})
    surfaces: frozenset[str] | None = None
    kind: str = "server"


def _authenticate(headers: Headers) -> _Token | None:
    return _Token() if dict(headers).get(b"authorization") == b"Bearer bench" else None


_SURFACES = frozenset({"home-feed"})
_ingest = Ingest(
    os.environ["BENCH_DSN"],
    authenticate=_authenticate,
    surfaces=lambda _environment: _SURFACES,
    clock=lambda: datetime.now(UTC),
)


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Requests go to the door; it starts with the first one."""
    if scope["type"] == "http":
        await _ingest(scope, receive, send)
