"""REST as a program with a token calls it: reads the version it is about to change, then changes that one."""

from typing import Any

import httpx

Document = dict[str, Any]


class Rest:
    """Calls under `/api/v1` of one installation. Every answer must be a success."""

    def __init__(self, web: str, token: str) -> None:
        headers = {"Authorization": f"Bearer {token}"}
        self._http = httpx.Client(base_url=f"{web}/api/v1", headers=headers, timeout=30, trust_env=False)

    def close(self) -> None:
        self._http.close()

    def get(self, path: str) -> Document:
        return self._call("GET", path)

    def post(self, path: str, body: Document | None = None) -> Document:
        return self._call("POST", path, body or {})

    def change(self, method: str, path: str, verb: str = "", body: Document | None = None) -> Document:
        """A write to the record at `path`, at the version it has now; `verb` is the rest of the address."""
        seen = self.get(path)["row_version"]
        return self._call(method, path + verb, body or {}, {"If-Match": f'"{seen}"'})

    def _call(
        self, method: str, path: str, body: Document | None = None, headers: dict[str, str] | None = None
    ) -> Document:
        answer = self._http.request(method, path, json=body, headers=headers)
        assert answer.is_success, (method, path, answer.status_code, answer.text)
        document: Document = answer.json()
        return document
