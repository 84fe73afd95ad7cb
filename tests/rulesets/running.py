"""The `serve` group as an installation runs it: granian, a port of its own, a state folder of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import httpx

ROOT = Path(__file__).resolve().parent.parent.parent


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def until(holds: Callable[[], Any], *, seconds: float = 15.0, what: str = "it") -> Any:
    """The first true answer of `holds`. Raises AssertionError when there is none in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if answer := holds():
            return answer
        time.sleep(0.02)
    raise AssertionError(f"{what} did not happen within {seconds:g} s")


class Serve:
    """One running `serve`. Ends with the `with` block; `stop` says how long SIGTERM took and the exit code."""

    def __init__(self, folder: Path, environment: Mapping[str, str] = {}) -> None:
        self.url = f"http://127.0.0.1:{(port := free_port())}"
        self._log = folder / f"serve-{port}.log"
        command = [
            *(sys.executable, "-m", "granian", "--interface", "asgi", "--no-ws", "--loop", "asyncio"),
            *("--host", "127.0.0.1", "--port", str(port), "--workers", "1", "--workers-kill-timeout", "3"),
            "controlplane.serve:application",
        ]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, "STATE_DIR": str(folder / "state"), **environment},
                stdout=log,
                stderr=log,
                start_new_session=True,  # granian's worker outlives granian's own death; the group does not
            )
        self.http = httpx.Client(base_url=self.url, timeout=5, trust_env=False)

    def __enter__(self) -> Self:
        until(self._answers, seconds=30, what=f"an answer of serve ({self._log})")
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(10)

    def _answers(self) -> bool:
        assert self._process.poll() is None, self.log()
        try:
            return self.http.get("/healthz").status_code == 200
        except httpx.TransportError:
            return False

    def log(self) -> str:
        return self._log.read_text(encoding="utf-8")

    def stop(self) -> tuple[float, int]:
        began = time.monotonic()
        self._process.send_signal(signal.SIGTERM)
        code = self._process.wait(15)
        return time.monotonic() - began, code

    def ruleset(self, token: str, **headers: str) -> httpx.Response:
        """One poll, with exactly these headers; nothing is decoded."""
        sent = {
            "accept-encoding": "identity",
            "authorization": f"Bearer {token}",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        return self.http.get("/api/v1/ruleset", headers=sent)

    def ready(self) -> dict[str, Any]:
        answer: dict[str, Any] = self.http.get("/readyz").json()
        return answer
