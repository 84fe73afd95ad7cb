"""The `serve` group's application: rulesets from memory, and the door for events. Raw ASGI, no Django.

What a request needs was prepared when the head changed; answering is a few dictionary look-ups.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, MutableMapping
from datetime import datetime
from http import HTTPStatus
from typing import Any, Protocol

import structlog
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from controlplane.rulesets.following import Follower
from controlplane.rulesets.heads import Document, Heads, Variant, build
from controlplane.rulesets.negotiation import choose_encoding, has_match
from controlplane.rulesets.token_table import Token, TokenTable

log = structlog.get_logger(__name__)
SCOPE = "ruleset:read"
NO_RULESET = "Nothing has been published to this environment yet."
START_SECONDS = 4.0
CLOSE_SECONDS = 2.5

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Headers = Iterable[tuple[bytes, bytes]]


class Door(Protocol):
    """An ASGI application with a life: the ingest of events."""

    async def start(self) -> None: ...
    async def close(self) -> None: ...
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None: ...


class Serving:
    """The ASGI application. `events` answers `/api/v1/events`."""

    def __init__(
        self,
        *,
        heads: Heads,
        tokens: TokenTable,
        follower: Follower,
        events: Door,
        clock: Callable[[], datetime],
    ) -> None:
        self._heads = heads
        self._tokens = tokens
        self._follower = follower
        self._events = events
        self._clock = clock
        self.requests: Counter[tuple[str, int]] = Counter()
        self._registry = CollectorRegistry()
        self._registry.register(_Gauges(self, heads, follower, clock))
        ProcessCollector(registry=self._registry)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        if scope["type"] != "http":
            return
        path = scope["path"]
        if path == "/api/v1/ruleset":
            await self._ruleset(scope, send)
        elif path == "/api/v1/events":
            await self._events(scope, receive, self._counted("/api/v1/events", send))
        elif path in _PAGES and scope["method"] in ("GET", "HEAD"):
            await _PAGES[path](self, scope["method"] == "HEAD", send)
        elif path in _PAGES:
            await self._problem(send, path, 405, headers=[(b"allow", b"GET, HEAD")])
        else:
            await self._problem(send, "unmatched", 404)

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await self._events.start()
                await self._follower.start(wait=START_SECONDS)
                log.info("serving", source=self._follower.source, heads=self._heads.numbers())
                await send({"type": "lifespan.startup.complete"})
            else:
                await self._follower.close()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._events.close(), CLOSE_SECONDS)
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _ruleset(self, scope: Scope, send: Send) -> None:
        method = scope["method"]
        if method not in ("GET", "HEAD"):
            await self._problem(send, "/api/v1/ruleset", 405, headers=[(b"allow", b"GET, HEAD")])
            return
        authorization = accept = none_match = None
        for name, value in scope["headers"]:
            if name == b"authorization":
                authorization = value
            elif name == b"accept-encoding":
                accept = value if accept is None else accept + b"," + value
            elif name == b"if-none-match":
                none_match = value if none_match is None else none_match + b"," + value
        token = self._tokens.recognise(authorization) if authorization is not None else None
        if token is None:
            await self._unknown(send)
        elif SCOPE not in token.scopes:
            await self._problem(send, "/api/v1/ruleset", 403)
        else:
            await self._document(token, accept, none_match, send, with_body=method == "GET")

    async def _document(
        self, token: Token, accept: bytes | None, none_match: bytes | None, send: Send, *, with_body: bool
    ) -> None:
        document = self._heads.ready(token.environment, token.surfaces) or await self._build(token)
        encoding = choose_encoding(accept)
        if document is None:
            await self._nothing(send)
        elif encoding is None:
            await self._problem(send, "/api/v1/ruleset", 406)
        else:
            variant = document.variants[encoding]
            unchanged = none_match is not None and has_match(none_match, variant.etag)
            await self._answer(send, variant, unchanged=unchanged, with_body=with_body)

    async def _answer(self, send: Send, variant: Variant, *, unchanged: bool, with_body: bool) -> None:
        status = 304 if unchanged else 200
        self.requests["/api/v1/ruleset", status] += 1
        headers = variant.unchanged if unchanged else variant.headers
        await send({"type": "http.response.start", "status": status, "headers": headers})
        body = variant.body if with_body and not unchanged else b""
        await send({"type": "http.response.body", "body": body})

    async def _build(self, token: Token) -> Document | None:
        """A document nobody was expected to ask for, such as the first one of a new token."""
        state = self._heads.states.get(token.environment)
        if state is None:
            return None
        document = await asyncio.to_thread(build, state, token.surfaces)
        self._heads.add(token.environment, token.surfaces, document)
        return document

    async def _unknown(self, send: Send) -> None:
        """The caller is not known. While no token is known at all, that is not the caller's fault."""
        if self._follower.source == "nothing":
            await self._nothing(send)
            return
        await self._problem(
            send, "/api/v1/ruleset", 401, headers=[(b"www-authenticate", b'Bearer realm="control plane"')]
        )

    async def _nothing(self, send: Send) -> None:
        if self._follower.source == "database":
            await self._problem(send, "/api/v1/ruleset", 404, detail=NO_RULESET)
        else:
            await self._problem(send, "/api/v1/ruleset", 503, headers=[(b"retry-after", b"5")])

    def _counted(self, route: str, send: Send) -> Send:
        async def counting(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                self.requests[route, message["status"]] += 1
            await send(message)

        return counting

    async def _problem(
        self,
        send: Send,
        route: str,
        status: int,
        *,
        detail: str = "",
        headers: Iterable[tuple[bytes, bytes]] = (),
    ) -> None:
        """RFC 9457. Which part of a credential was wrong is not said."""
        self.requests[route, status] += 1
        code = _CODES[status]
        problem = {
            "type": f"/problems/{code}",
            "title": HTTPStatus(status).phrase,
            "status": status,
            "detail": detail or _DETAILS[code],
            "code": code,
        }
        body = json.dumps(problem).encode()
        await _send(
            send, status, b"application/problem+json", body, [*headers, (b"cache-control", b"no-store")]
        )

    async def health(self, head: bool, send: Send) -> None:  # noqa: FBT001 - called by table
        """The process answers."""
        self.requests["/healthz", 200] += 1
        await _send(send, 200, b"application/json", b'{"status":"ok"}', head=head)

    async def readiness(self, head: bool, send: Send) -> None:  # noqa: FBT001 - called by table
        """Whether polls can be answered, from what, and how old that is."""
        follower, now = self._follower, self._clock()
        ready = follower.source != "nothing"
        status = "ok" if follower.database == "ok" else "degraded" if ready else "unavailable"
        answer = {
            "status": status,
            "source": follower.source,
            "database": follower.database,
            "age_seconds": _age(now, follower.confirmed_at),
            "heads": self._heads.numbers(),
            "tokens": len(self._tokens),
            "state_file_age_seconds": _age(now, follower.written_at),
        }
        code = 200 if ready else 503
        self.requests["/readyz", code] += 1
        await _send(send, code, b"application/json", json.dumps(answer).encode(), head=head)

    async def metrics(self, head: bool, send: Send) -> None:  # noqa: FBT001 - called by table
        """The exposition format, for a scraper inside the network."""
        self.requests["/metrics", 200] += 1
        body = generate_latest(self._registry)
        await _send(send, 200, CONTENT_TYPE_LATEST.encode(), body, head=head)


_PAGES = {"/healthz": Serving.health, "/readyz": Serving.readiness, "/metrics": Serving.metrics}
_CODES = {
    401: "not_authenticated",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    406: "not_acceptable",
    503: "unavailable",
}
_DETAILS = {
    "not_authenticated": "Send a valid token: Authorization: Bearer cp_…",
    "forbidden": "This token may not do that.",
    "not_found": "There is nothing at this address.",
    "method_not_allowed": "Use one of the methods in Allow.",
    "not_acceptable": "The ruleset comes as br, zstd, gzip or identity.",
    "unavailable": "The database is not answering and nothing is kept from before; try again.",
}


def _age(now: datetime, then: datetime | None) -> float | None:
    return round((now - then).total_seconds(), 1) if then else None


async def _send(
    send: Send, status: int, content_type: bytes, body: bytes, headers: Headers = (), *, head: bool = False
) -> None:
    lines = [(b"content-type", content_type), (b"content-length", str(len(body)).encode()), *headers]
    await send({"type": "http.response.start", "status": status, "headers": lines})
    await send({"type": "http.response.body", "body": b"" if head else body})


class _Gauges(Collector):
    """The figures as they are when somebody asks."""

    def __init__(
        self, serving: Serving, heads: Heads, follower: Follower, clock: Callable[[], datetime]
    ) -> None:
        self._serving = serving
        self._heads = heads
        self._follower = follower
        self._clock = clock

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        requests = CounterMetricFamily(
            "controlplane_serve_requests", "Answered requests.", labels=["route", "status"]
        )
        for (route, status), count in sorted(self._serving.requests.items()):
            requests.add_metric([route, str(status)], count)
        yield requests
        revision = GaugeMetricFamily(
            "controlplane_serve_head_revision", "Revision served.", labels=["environment"]
        )
        for environment, number in self._heads.numbers().items():
            revision.add_metric([environment], number)
        yield revision
        age = _age(self._clock(), self._follower.confirmed_at)
        yield GaugeMetricFamily(
            "controlplane_serve_lag_seconds",
            "Seconds since the database last confirmed what is served.",
            value=age if age is not None else float("nan"),
        )
        yield GaugeMetricFamily(
            "controlplane_serve_database_up",
            "Whether the database answers.",
            value=float(self._follower.database == "ok"),
        )
