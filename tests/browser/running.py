"""The `web` group as an installation runs it, for a browser: granian, a port of its own, the test database."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Self

import httpx

from tests.rulesets.running import ROOT, free_port, until


class Web:
    """One running `web`. Ends with the `with` block."""

    def __init__(self, folder: Path) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._log = folder / f"web-{port}.log"
        command = [
            *(sys.executable, "-m", "granian", "--interface", "asginl", "--no-ws", "--loop", "asyncio"),
            *("--host", "127.0.0.1", "--port", str(port), "--workers", "1", "--workers-kill-timeout", "3"),
            "controlplane.asgi:application",
        ]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, "PUBLIC_URL": self.url},
                stdout=log,
                stderr=log,
                start_new_session=True,  # granian's worker outlives granian's own death; the group does not
            )

    def __enter__(self) -> Self:
        until(self._answers, seconds=60, what=f"an answer of web ({self._log})")
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(10)

    def _answers(self) -> bool:
        assert self._process.poll() is None, self._log.read_text(encoding="utf-8")
        try:
            return httpx.get(f"{self.url}/healthz", timeout=5, trust_env=False).status_code == 200
        except httpx.TransportError:
            return False
