"""The door behind a real server: acknowledged means durable, whoever is killed."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from controlplane.events import lake
from tests.events.conftest import event, lines
from tests.events.test_mover import child, in_lake, once_each

Rows = Callable[..., list[tuple[Any, ...]]]
ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def served(dsn: str, port: int) -> Iterator[subprocess.Popen[bytes]]:
    command = [
        sys.executable,
        "-m",
        "granian",
        "--interface",
        "asgi",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    command += ["--no-access-log", "--log-level", "error", "tests.events.served:application"]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "EVENTS_DSN": dsn, "PYTHONPATH": str(ROOT)},
        start_new_session=True,
    )
    try:
        wait_until_open(port)
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(timeout=20)


def wait_until_open(port: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError("the server did not start")


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free: int = probe.getsockname()[1]
        return free


def fresh(number: int) -> dict[str, Any]:
    return event(number, occurred_at=datetime.now(UTC).isoformat())


def post(port: int, *numbers: int) -> httpx.Response:
    return httpx.post(
        f"http://127.0.0.1:{port}/api/v1/events",
        content=lines(*map(fresh, numbers)),
        headers={"authorization": "Bearer good"},
        timeout=10,
    )


def test_served__events_over_http__stored_and_a_problem_is_a_problem(dsn: str, port: int, rows: Rows) -> None:
    with served(dsn, port) as process:
        answer = post(port, 1, 2)
        assert (answer.status_code, answer.json()["accepted"]) == (202, 2)
        empty = httpx.post(f"http://127.0.0.1:{port}/api/v1/events", headers={"authorization": "Bearer good"})
        assert (empty.status_code, empty.json()["code"]) == (400, "empty_body")
    assert process.returncode == 0
    assert rows("SELECT event_id FROM events_buffer ORDER BY 1") == [("e-1",), ("e-2",)]


@pytest.mark.kill
def test_served__server_mover_and_sessions_killed_under_load__no_acknowledged_event_missing_or_doubled(
    dsn: str, port: int, own_lake: str
) -> None:
    acknowledged: set[int] = set()
    number = 0
    for round_number in range(4):
        with served(dsn, port) as process:
            for batch in range(15):
                wanted = range(number, number + 20)
                if batch == 5:
                    kill_sessions(dsn)
                if batch == 12 and round_number < 3:
                    os.killpg(process.pid, 9)
                try:
                    answer = post(port, *wanted)
                except httpx.TransportError:
                    break  # not acknowledged: the client sends these again to the next server
                if answer.status_code == 202:
                    assert answer.json()["quarantined"] == 0
                    acknowledged.update(wanted)
                    number += 20
                else:
                    assert answer.status_code == 503
            assert (
                child(
                    "--once", "--rows", "90", "--stop-after", ("read", "written")[round_number % 2]
                ).returncode
                == 9
            )
    assert len(acknowledged) >= 400
    assert child("--once").returncode == 0
    moved = in_lake(own_lake)
    assert max(moved.values()) == 1
    assert once_each(*acknowledged).keys() <= moved.keys()
    assert lake.open_table(own_lake) is not None


def kill_sessions(dsn: str) -> None:
    """End every other session on the database, as a restarting server would."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
