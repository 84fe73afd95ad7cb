"""The only room that speaks HTTP. ``httpx`` is imported on first use, so a host that decides from disk never pays."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from controlplane.client.errors import TransportFailed
from controlplane.client.version import USER_AGENT

if TYPE_CHECKING:
    import httpx

LARGEST_BODY = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """A finished HTTP answer; header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Transport:
    """Keeps one connection pool to one control plane. Safe to use from several threads; not across a fork.

    ``timeout`` is seconds for connecting and for each read, and bounds a whole answer at five times that.
    """

    def __init__(self, url: str, token: str, *, timeout: float, source: str = "live") -> None:
        self._url = url.rstrip("/")
        self._token = token
        self._timeout = timeout
        self._events_path = f"/api/v1/events?verdicts=errors&source={source}"
        self._lock = threading.Lock()
        self._http: httpx.Client | None = None
        self._closed = False

    def get_ruleset(self, *, etag: str | None) -> Answer:
        """Ask for the ruleset, or for "not modified" against ``etag``. Raises `TransportFailed`."""
        headers = {"If-None-Match": etag} if etag else {}
        return self._exchange("GET", "/api/v1/ruleset", headers=headers, body=None)

    def post_events(self, body: bytes) -> Answer:
        """Post gzipped NDJSON. Raises `TransportFailed`."""
        headers = {"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"}
        return self._exchange("POST", self._events_path, headers=headers, body=body)

    def close(self) -> None:
        """Close the pool; later calls fail with `TransportFailed`."""
        with self._lock:
            self._closed = True
            http, self._http = self._http, None
        if http is not None:
            http.close()

    def _exchange(self, method: str, path: str, *, headers: Mapping[str, str], body: bytes | None) -> Answer:
        import httpx  # noqa: PLC0415 - lazy: deciding from disk needs no HTTP

        deadline = time.monotonic() + 5.0 * self._timeout
        try:
            with self._client().stream(method, self._url + path, headers=headers, content=body) as response:
                received = bytearray()
                for chunk in response.iter_bytes():
                    received += chunk
                    if len(received) > LARGEST_BODY:
                        raise TransportFailed(
                            f"{method} {path}: the answer is larger than {LARGEST_BODY} bytes"
                        )
                    if time.monotonic() > deadline:
                        raise TransportFailed(
                            f"{method} {path}: the answer took longer than {5.0 * self._timeout:g} s"
                        )
                answered = {name.lower(): value for name, value in response.headers.items()}
                return Answer(status=response.status_code, headers=answered, body=bytes(received))
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, RuntimeError, OSError) as error:
            raise TransportFailed(f"{method} {path}: {type(error).__name__}: {error}") from error

    def _client(self) -> httpx.Client:
        import httpx  # noqa: PLC0415 - lazy: deciding from disk needs no HTTP

        with self._lock:
            if self._closed:
                raise TransportFailed("the client is closed")
            if self._http is None:
                self._http = httpx.Client(
                    headers={"Authorization": f"Bearer {self._token}", "User-Agent": USER_AGENT},
                    timeout=self._timeout,
                    follow_redirects=False,
                )
            return self._http
