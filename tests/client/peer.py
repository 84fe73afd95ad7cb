"""A control plane's data plane as the contract describes it, small and in memory: a peer to talk HTTP with.

It answers `GET /api/v1/ruleset` with a strong ETag and `POST /api/v1/events` with verdicts, and can be told to fail.
"""

import gzip
import hashlib
import json
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "cp_test_0123456789"


@dataclass
class Fault:
    """What the peer does instead of its work, once."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    wait: threading.Event | None = None
    after_work: bool = False


@dataclass
class Peer:
    """State of the peer: what it serves, what it received."""

    document: dict[str, Any] | None = None
    raw: bytes | None = None
    url: str = ""
    events: dict[str, dict[str, Any]] = field(default_factory=dict)
    received: list[dict[str, Any]] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)
    polls: list[int] = field(default_factory=list)
    poll_faults: deque[Fault] = field(default_factory=deque)
    event_faults: deque[Fault] = field(default_factory=deque)
    refuse: set[str] = field(default_factory=set)
    unreadable: set[str] = field(default_factory=set)
    down: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def body(self) -> bytes:
        return self.raw if self.raw is not None else json.dumps(self.document).encode()

    def take_events(self, lines: list[bytes]) -> tuple[int, dict[str, Any]]:
        parsed = [json.loads(line) for line in lines]
        if any(event["event_id"] in self.unreadable for event in parsed):
            return 400, {"code": "unreadable", "status": 400}
        counts = {"accepted": 0, "duplicate": 0, "quarantined": 0}
        verdicts = []
        with self.lock:
            self.batches.append(len(parsed))
            for number, event in enumerate(parsed, start=1):
                event_id = event["event_id"]
                self.received.append(event)
                if event_id in self.refuse:
                    verdict = "quarantined"
                    verdicts.append(
                        {
                            "line": number,
                            "event_id": event_id,
                            "verdict": verdict,
                            "code": "unknown_field",
                            "reason": "x",
                        }
                    )
                elif event_id in self.events:
                    verdict = "duplicate"
                else:
                    verdict = "accepted"
                    self.events[event_id] = event
                counts[verdict] += 1
        return 202, {**counts, "verdicts": verdicts}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "_Server"

    def do_GET(self) -> None:
        peer = self.server.peer
        if self._fails(peer.poll_faults):
            return
        if peer.down:
            self._answer(503, b"", {})
            return
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._answer(401, b"{}", {"Content-Type": "application/problem+json"})
            peer.polls.append(401)
            return
        body = peer.body()
        etag = f'"{hashlib.sha256(body).hexdigest()}"'
        if self.headers.get("If-None-Match") == etag:
            peer.polls.append(304)
            self._answer(304, b"", {"ETag": etag})
            return
        peer.polls.append(200)
        self._answer(200, gzip.compress(body), {"ETag": etag, "Content-Encoding": "gzip"})

    def do_POST(self) -> None:
        peer = self.server.peer
        body = self.rfile.read(int(self.headers["Content-Length"]))
        early = peer.event_faults[0] if peer.event_faults else None
        if early is not None and early.after_work:
            peer.take_events(gzip.decompress(body).splitlines())
        if self._fails(peer.event_faults):
            return
        status, answer = peer.take_events(gzip.decompress(body).splitlines())
        kind = "application/json" if status == 202 else "application/problem+json"
        self._answer(status, json.dumps(answer).encode(), {"Content-Type": kind})

    def _fails(self, faults: deque[Fault]) -> bool:
        if not faults:
            return False
        fault = faults.popleft()
        if fault.wait is not None:
            fault.wait.wait(10)
        if fault.status == 0:
            self.close_connection = True
            return True
        self._answer(fault.status, fault.body, fault.headers)
        return True

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        try:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Quiet."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, peer: Peer, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.peer = peer

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is what these tests are about."""


@contextmanager
def serving(peer: Peer, *, port: int = 0) -> Iterator[Peer]:
    """The peer on a loopback port for as long as the block runs."""
    server = _Server(peer, port)
    peer.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield peer
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
