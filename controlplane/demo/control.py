"""The control plane's REST interface as the demo's people use it, each signed in to an account of their own role."""

import json
import time
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Self

import httpx

TIMEOUT = 30.0


class Refused(RuntimeError):
    """The control plane refused; ``status``, ``code`` and ``detail`` are those of its problem document."""

    def __init__(self, method: str, path: str, response: httpx.Response) -> None:
        try:
            problem = response.json()
        except ValueError:
            problem = {}
        if not isinstance(problem, dict):
            problem = {}
        self.status = response.status_code
        self.code = str(problem.get("code", ""))
        self.detail = str(problem.get("detail", response.text[:300]))
        errors = "; ".join(f"{one.get('field')}: {one.get('message')}" for one in problem.get("errors", []))
        super().__init__(f"{method} {path}: HTTP {self.status} {self.code} {self.detail} {errors}".rstrip())


class ControlPlane:
    """Calls under ``/api/v1``; ``passwords`` maps an account, named like its role, to its password."""

    def __init__(self, url: str, passwords: Mapping[str, str]) -> None:
        self._url = url
        self._passwords = passwords
        self._sessions: dict[str, httpx.Client] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for session in self._sessions.values():
            session.close()

    def get(self, role: str, path: str, **parameters: str) -> Any:
        """The JSON at a path. Raises `Refused`."""
        return self._call(role, "GET", path, params=parameters).json()

    def find(self, role: str, path: str) -> Any | None:
        """The JSON at a path, or None when there is nothing. Raises `Refused`."""
        try:
            return self.get(role, path)
        except Refused as refused:
            if refused.status == httpx.codes.NOT_FOUND:
                return None
            raise

    def keys(self, role: str, records: str) -> list[str]:
        """The keys of all records of a kind."""
        found: list[str] = []
        number = 1
        while True:
            page = self.get(role, f"/{records}", page_size="500", page=str(number))
            found.extend(row["key"] for row in page["results"])
            if not page["next"]:
                return found
            number += 1

    def create(self, role: str, records: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """A new record."""
        return self._object(self._call(role, "POST", f"/{records}", json=body))

    def act(
        self, role: str, records: str, key: str, verb: str, body: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """A verb on a record as it is now."""
        version = self.get(role, f"/{records}/{key}")["row_version"]
        headers = {"If-Match": f'"{version}"'}
        return self._object(
            self._call(role, "POST", f"/{records}/{key}/{verb}", json=body or {}, headers=headers)
        )

    def upload(self, role: str, path: str, lines: Iterable[bytes]) -> dict[str, Any]:
        """NDJSON in one request."""
        headers = {"Content-Type": "application/x-ndjson"}
        return self._object(
            self._call(role, "POST", path, content=b"\n".join(lines) + b"\n", headers=headers)
        )

    def _call(self, role: str, method: str, path: str, **given: Any) -> httpx.Response:
        session = self._session(role)
        headers = {"X-CSRFToken": session.cookies.get("csrftoken", ""), **given.pop("headers", {})}
        address = path if path.startswith("http") else f"/api/v1{path}"
        response = session.request(method, address, headers=headers, **given)
        if response.is_error:
            raise Refused(method, path, response)
        return response

    def _session(self, role: str) -> httpx.Client:
        """The role's browser, signed in at first use. Raises `Refused`, PermissionError for a wrong password."""
        if role not in self._sessions:
            self._sessions[role] = self._sign_in(role)
        return self._sessions[role]

    def _sign_in(self, role: str) -> httpx.Client:
        session = httpx.Client(base_url=self._url, timeout=TIMEOUT, trust_env=False)
        try:
            session.get("/login/").raise_for_status()
            form = {
                "username": role,
                "password": self._passwords[role],
                "csrfmiddlewaretoken": session.cookies.get("csrftoken", ""),
                "next": "/",
            }
            answer = session.post("/login/", data=form, headers={"Referer": f"{self._url}/login/"})
            if "sessionid" not in session.cookies:
                raise PermissionError(f"{role} could not sign in: HTTP {answer.status_code}")
        except BaseException:
            session.close()
            raise
        return session

    def _object(self, response: httpx.Response) -> dict[str, Any]:
        body = response.json()
        if not isinstance(body, dict):
            raise TypeError(f"expected a JSON object, got {json.dumps(body)[:100]}")
        return body


def wait_until(what: str, ready: Callable[[], bool], *, seconds: float, pause: float = 0.25) -> float:
    """Wait for something; the seconds it took. Raises TimeoutError naming it."""
    began = time.monotonic()
    while not ready():
        if time.monotonic() - began > seconds:
            raise TimeoutError(f"waited {seconds:g} s for {what}")
        time.sleep(pause)
    return time.monotonic() - began
