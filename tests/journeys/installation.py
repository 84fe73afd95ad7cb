"""A whole installation as its operator has it: `manage.py up` on a folder of its own, reached by HTTP and signals only."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

import httpx
import psycopg

from controlplane.demo.control import ControlPlane
from controlplane.embedded import runtime_env
from controlplane.embedded.places import places
from controlplane.embedded.processes import NAMES, PROCESSES, ROOT
from controlplane.events import lake

PASSWORD = "a-password-of-the-tests"
ONCE = frozenset(process.name for process in PROCESSES if process.runs_once)
LONG_LIVED = tuple(name for name in NAMES if name not in ONCE)
START_SECONDS = 120.0


def until(what: str, holds: Callable[[], Any], *, seconds: float) -> Any:
    """The first true answer of `holds`. Raises AssertionError naming what did not come true in time."""
    ends_at = time.monotonic() + seconds
    while not (answer := holds()):
        assert time.monotonic() < ends_at, f"within {seconds:g} s not: {what}"
        time.sleep(0.05)
    return answer


def _free_ports(count: int) -> list[int]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in held]
    for each in held:
        each.close()
    return ports


class Installation:
    """`with Installation(folder) as installation:` has the named processes up and ready; TERM ends it."""

    def __init__(self, folder: Path, *, only: tuple[str, ...] = NAMES) -> None:
        self.where = places(folder)
        self.only = only
        web, serve = _free_ports(2)
        self.web, self.serve = f"http://127.0.0.1:{web}", f"http://127.0.0.1:{serve}"
        self._environment = {
            **{name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ},
            "VAR_DIR": str(self.where.var_dir),
            "DJANGO_SETTINGS_MODULE": "controlplane.settings",
            "PYTHONUNBUFFERED": "1",
            "WEB_PORT": str(web),
            "SERVE_PORT": str(serve),
            "ADMIN_PASSWORD": PASSWORD,
        }
        self._output = folder.with_name(f"{folder.name}.up.log")
        self._up: subprocess.Popen[bytes] | None = None
        self._ready_length = 0

    def __enter__(self) -> Self:
        with self._output.open("wb") as output:
            self._up = subprocess.Popen(
                [sys.executable, "manage.py", "up", "--only", ",".join(self.only)],
                cwd=ROOT,
                env=self._environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            until("everything is up", self._settled, seconds=START_SECONDS)
            self._ready_length = len(self.said())
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> float:
        """End it with TERM; the seconds that took. What does not end within 20 s is killed and raises."""
        if self._up is None:
            return 0.0
        began = time.monotonic()
        self._up.send_signal(signal.SIGTERM)
        try:
            self._up.wait(20)
        except subprocess.TimeoutExpired:
            self._up.kill()
            raise
        return time.monotonic() - began

    def _settled(self) -> bool:
        assert self._up is not None
        assert self._up.poll() is None, self.said()
        return self.is_ready()

    def said_until_ready(self) -> str:
        """What its processes wrote to the terminal before all were ready the first time."""
        return self.said()[: self._ready_length]

    def said(self) -> str:
        """Everything its processes wrote to the terminal."""
        return self._output.read_text(encoding="utf-8", errors="replace")

    def states(self) -> dict[str, Any]:
        """What its status file says of each process."""
        try:
            listed: dict[str, Any] = json.loads(self.where.status.read_text())["processes"]
        except FileNotFoundError:
            return {}
        return listed

    def is_ready(self) -> bool:
        states = {name: entry["state"] for name, entry in self.states().items()}
        return states == {name: "done" if name in ONCE else "ready" for name in self.only}

    def pid(self, name: str) -> int:
        return int(self.states()[name]["pid"] or 0)

    def kill(self, name: str) -> tuple[float, float]:
        """`kill -9` one process and wait until its successor is ready; when it died and when all was well again."""
        victim = self.pid(name)
        died_at = time.monotonic()
        os.kill(victim, signal.SIGKILL)
        until(
            f"{name} is back",
            lambda: self.pid(name) not in {0, victim} and self.is_ready(),
            seconds=45,
        )
        return died_at, time.monotonic()

    def environment(self) -> Mapping[str, str]:
        """The variables its own processes see."""
        return self._environment | runtime_env.read(self.where.runtime_env)

    def run(self, *arguments: str, seconds: float = 60.0) -> subprocess.CompletedProcess[str]:
        """`python …` as one more process of it."""
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=dict(self.environment()),
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def manage(self, *arguments: str) -> str:
        """`manage.py …`, which must succeed; what it printed."""
        done = self.run("manage.py", *arguments, seconds=120)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def control(self) -> ControlPlane:
        """REST as its administrator."""
        return ControlPlane(self.web, {"admin": PASSWORD})

    def ruleset(self, token: str) -> httpx.Response:
        """The document that hosts with this token read now."""
        headers = {"Authorization": f"Bearer {token}"}
        answer = httpx.get(f"{self.serve}/api/v1/ruleset", headers=headers, timeout=10, trust_env=False)
        return answer.raise_for_status()

    def ask(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Rows of its database."""
        address = self.where.addresses()["DATABASE_URL"]
        with psycopg.connect(address) as connection:
            return connection.execute(sql.encode(), values).fetchall()

    def wait_until_moved(self, *, seconds: float = 45.0) -> None:
        """Wait until every event it has taken in stands in the lake; its own sweeps do the work."""
        waiting = (
            "SELECT (SELECT count(*) FROM events_buffer WHERE payload IS NOT NULL)"
            " + (SELECT count(*) FROM events_batch WHERE moved_at IS NULL)"
        )
        until("all events are in the lake", lambda: self.ask(waiting) == [(0,)], seconds=seconds)

    def in_lake(self, prefix: str) -> Counter[str]:
        """How often each event id that begins so stands in the lake."""
        table = lake.open_table(f"file://{self.where.var_dir / 'lake'}")
        if table is None:
            return Counter()
        ids = table.to_pyarrow_table(columns=["event_id"])["event_id"].to_pylist()
        return Counter(each for each in ids if each.startswith(prefix))

    def verify_audit(self) -> str:
        """Hold the audit trail against its anchor; what `verify_audit` said. Fails when it is not intact."""
        return self.manage("verify_audit", "--anchor", str(self.where.var_dir / "anchors" / "audit.jsonl"))
