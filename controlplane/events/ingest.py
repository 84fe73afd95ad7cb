"""`POST /api/v1/events`: the door for what happened. An ASGI application without Django, mounted by `serve`.

A request is read, judged record by record, and handed to one writer, which commits what many requests brought in one
durable transaction. The answer comes after that commit, so an acknowledged event survives anything.
"""

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable, Collection, Container, Iterable, Mapping, MutableMapping
from datetime import datetime
from http import HTTPStatus
from typing import Any, Protocol
from urllib.parse import parse_qs

import orjson

from controlplane.events.bodies import BodyRefused, ClientGone, decompress, read_body, split
from controlplane.events.buffer import Bad, Good, Submission
from controlplane.events.schemas import Accepted, Rules, check_line, live_rules
from controlplane.events.shapes import Refusal
from controlplane.events.writer import Overloaded, Writer

SCOPE = "events:write"
SOURCES = ("live", "demo")
RECORDS_PER_TURN = 100  # judged before the loop may serve somebody else, about a millisecond
SMALL_BODY = 64 * 1024
MAX_BYTES_IN_FLIGHT = 256 * 2**20
VERDICTS = ("all", "errors")
RETRY_AFTER = "5"

Headers = Iterable[tuple[bytes, bytes]]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Scope = MutableMapping[str, Any]


class TokenInfo(Protocol):
    """What the door has to know of a token. `surfaces` of None means all."""

    @property
    def id(self) -> str: ...
    @property
    def environment(self) -> str: ...
    @property
    def scopes(self) -> Collection[str]: ...
    @property
    def surfaces(self) -> Collection[str] | None: ...
    @property
    def kind(self) -> str: ...


class Ingest:
    """The ASGI application. `authenticate` maps headers to a token; `surfaces` an environment to its surface keys.

    `surfaces` may answer None while it does not know them; then none is refused.
    """

    def __init__(
        self,
        dsn: str,
        *,
        authenticate: Callable[[Headers], TokenInfo | None],
        surfaces: Callable[[str], Container[str] | None],
        clock: Callable[[], datetime],
    ) -> None:
        self._authenticate = authenticate
        self._surfaces = surfaces
        self._clock = clock
        self._writer = Writer(dsn, clock=clock)
        self._bytes_in_flight = 0

    async def start(self) -> None:
        """Call it when the server starts; a first request does so too."""
        await self._writer.start()

    async def close(self) -> None:
        """Call it when the server stops: requests under way are written first."""
        await self._writer.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {name.lower(): value for name, value in scope["headers"]}
        request_id = headers.get(b"x-request-id", b"").decode("latin-1")[:64] or secrets.token_hex(8)
        try:
            answer = await self._answer(scope, headers, receive)
        except ClientGone:
            return
        except BodyRefused as refused:
            error = {"field": refused.field, "message": refused.detail, "remedy": refused.remedy}
            await _problem(send, refused.status, refused.code, refused.detail, request_id, errors=[error])
        except _Denied as denied:
            await _problem(send, denied.status, denied.code, str(denied), request_id, headers=denied.headers)
        except Overloaded as overloaded:
            retry = [(b"retry-after", RETRY_AFTER.encode())]
            await _problem(send, 503, "unavailable", str(overloaded), request_id, headers=retry)
        else:
            await _send(
                send, 202, "application/json", answer, [(b"x-request-id", request_id.encode("latin-1"))]
            )

    async def _answer(self, scope: Scope, headers: Mapping[bytes, bytes], receive: Receive) -> bytes:
        if scope["method"] != "POST":
            raise _Denied(405, "method_not_allowed", "events are posted", [(b"allow", b"POST")])
        token = self._authenticate(scope["headers"])
        if token is None:
            raise _Denied(
                401,
                "unauthenticated",
                "send a valid token: Authorization: Bearer cp_…",
                [(b"www-authenticate", b"Bearer")],
            )
        if SCOPE not in token.scopes:
            raise _Denied(403, "forbidden", f"the token lacks the scope {SCOPE}")
        query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
        source = query.get("source", ["live"])[-1]
        if source not in SOURCES:
            raise BodyRefused(
                400,
                "invalid_input",
                f"source must be one of {', '.join(SOURCES)}",
                "leave it out",
                field="source",
            )
        wanted = query.get("verdicts", ["all"])[-1]
        if wanted not in VERDICTS:
            raise BodyRefused(
                400,
                "invalid_input",
                f"verdicts must be one of {', '.join(VERDICTS)}",
                "leave it out",
                field="verdicts",
            )
        await self._writer.start()
        body = await read_body(receive, announced=_announced(headers))
        return await self._take_in(body, headers, token, source=source, brief=wanted == "errors")

    async def _take_in(
        self, body: bytes, headers: Mapping[bytes, bytes], token: TokenInfo, *, source: str, brief: bool
    ) -> bytes:
        encoding = headers.get(b"content-encoding", b"").decode("latin-1").strip().lower()
        content_type = headers.get(b"content-type", b"").lower()
        lines_declared = b"ndjson" in content_type or b"jsonl" in content_type or b"json-seq" in content_type
        with self._budget(len(body)):
            if encoding:
                body = await asyncio.to_thread(decompress, body, encoding)
            with self._budget(len(body)):
                if len(body) <= SMALL_BODY:
                    records = split(body, lines_declared=lines_declared)
                else:
                    records = await asyncio.to_thread(split, body, lines_declared=lines_declared)
                rules = live_rules(
                    token.environment,
                    at=self._clock(),
                    surfaces=self._surfaces(token.environment),
                    granted=token.surfaces,
                )
                verdicts = await _judge(records, rules)
                submission = _submission(records, verdicts, token.environment, source)
                await self._writer.write(submission)
        return _report(verdicts, submission, brief=brief)

    @contextlib.contextmanager
    def _budget(self, size: int) -> Any:
        """Hold `size` bytes of the memory that all requests together may use. Raises Overloaded when it is used up."""
        if self._bytes_in_flight + size > MAX_BYTES_IN_FLIGHT:
            raise Overloaded("too many large requests at once")
        self._bytes_in_flight += size
        try:
            yield
        finally:
            self._bytes_in_flight -= size


class _Denied(Exception):
    def __init__(
        self, status: int, code: str, detail: str, headers: list[tuple[bytes, bytes]] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.headers = headers or []


def _announced(headers: Mapping[bytes, bytes]) -> int | None:
    length = headers.get(b"content-length", b"")
    return int(length) if length.isdigit() and len(length) < 20 else None


async def _judge(records: list[bytes], rules: Rules) -> list[Accepted | Refusal]:
    verdicts: list[Accepted | Refusal] = []
    for start in range(0, len(records), RECORDS_PER_TURN):
        verdicts += [check_line(raw, rules) for raw in records[start : start + RECORDS_PER_TURN]]
        await asyncio.sleep(0)
    return verdicts


def _submission(
    records: list[bytes], verdicts: list[Accepted | Refusal], environment: str, source: str
) -> Submission:
    good: list[Good] = []
    bad: list[Bad] = []
    for raw, verdict in zip(records, verdicts, strict=True):
        if type(verdict) is Accepted:
            good.append(Good(verdict.event_id, verdict.type, verdict.late, raw))
        elif type(verdict) is Refusal:
            bad.append(Bad(verdict, *identity(raw), raw))
    return Submission(environment, source, good, bad)


def identity(raw: bytes) -> tuple[str, str]:
    """Event id and type of a refused record as far as they can be told, else ''; fit for a text column."""
    try:
        event = orjson.loads(raw)
    except ValueError:
        return "", ""
    if not isinstance(event, dict):
        return "", ""
    event_id, kind = event.get("event_id"), event.get("type")
    return (
        event_id if isinstance(event_id, str) and len(event_id) <= 64 and "\0" not in event_id else "",
        kind if isinstance(kind, str) and len(kind) <= 16 and "\0" not in kind else "",
    )


def _report(verdicts: list[Accepted | Refusal], submission: Submission, *, brief: bool) -> bytes:
    rows: list[dict[str, Any]] = []
    position = -1
    bad = iter(submission.bad)
    for line, verdict in enumerate(verdicts):
        if type(verdict) is Refusal:
            rows.append(
                {
                    "line": line,
                    "event_id": next(bad).event_id or None,
                    "verdict": "quarantined",
                    "code": verdict.code,
                    "reason": f"{verdict.field} {verdict.message}; {verdict.remedy}".lstrip(),
                }
            )
        elif type(verdict) is Accepted:
            position += 1
            if not brief:
                word = "duplicate" if position in submission.duplicates else "accepted"
                rows.append({"line": line, "event_id": verdict.event_id, "verdict": word})
    duplicates = len(submission.duplicates)
    return orjson.dumps(
        {
            "accepted": len(submission.good) - duplicates,
            "duplicate": duplicates,
            "quarantined": len(submission.bad),
            "verdicts": rows,
        }
    )


async def _problem(
    send: Send,
    status: int,
    code: str,
    detail: str,
    request_id: str,
    *,
    headers: Iterable[tuple[bytes, bytes]] = (),
    errors: list[dict[str, str]] | None = None,
) -> None:
    """Answer with RFC 9457 problem+json."""
    problem = {
        "type": f"/problems/{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
        "request_id": request_id,
        **({"errors": errors} if errors else {}),
    }
    await _send(send, status, "application/problem+json", orjson.dumps(problem), headers)


async def _send(
    send: Send, status: int, content_type: str, body: bytes, headers: Iterable[tuple[bytes, bytes]]
) -> None:
    start = [(b"content-type", content_type.encode()), (b"content-length", str(len(body)).encode()), *headers]
    await send({"type": "http.response.start", "status": status, "headers": start})
    await send({"type": "http.response.body", "body": body})
