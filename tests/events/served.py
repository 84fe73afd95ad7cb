"""The ingest door as a server process runs it: `granian tests.events.served:application`."""

import os
from datetime import UTC, datetime
from typing import Any

from controlplane.events.ingest import Headers, Ingest
from tests.events.tokens import Token


def _authenticate(headers: Headers) -> Token | None:
    return Token() if dict(headers).get(b"authorization") == b"Bearer good" else None


class Application:
    """Starts and stops the door with the server."""

    def __init__(self) -> None:
        self._ingest = Ingest(
            os.environ["EVENTS_DSN"],
            authenticate=_authenticate,
            surfaces=lambda _environment: None,
            clock=lambda: datetime.now(UTC),
        )

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await self._ingest(scope, receive, send)
        elif scope["type"] == "lifespan":
            await receive()
            await self._ingest.start()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await self._ingest.close()
            await send({"type": "lifespan.shutdown.complete"})


application = Application()
