"""Event ingest over HTTP against COPY of the same rows into the same keyed table.

The product: NDJSON bodies of a thousand events to granian, each parsed, checked, answered with a verdict per line,
de-duplicated and committed durably. The baseline: the same rows, already parsed, by COPY in the same batches on one
connection. Both with `synchronous_commit=on`, into `events_buffer` with its key and index, emptied before each run.
"""

import http.client
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import orjson
import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from benchmarks import Case
from controlplane.embedded import services
from controlplane.embedded.places import SUPERUSER, places

ROOT = Path(__file__).resolve().parent.parent
DATABASE = "bench_ingest"
BATCH = 1_000
BATCHES = int(os.environ.get("BENCH_BATCHES", "30"))
PORT = int(os.environ.get("BENCH_PORT", "8611"))
COPY = "COPY events_buffer (environment, event_id, type, source, received_at, payload) FROM STDIN"


@contextmanager
def cases() -> Iterator[Iterable[Case]]:
    """A database of its own, a granian server, and the comparisons."""
    dsn = _database()
    batches = [[_event(number) for number in range(BATCH)] for _ in range(BATCHES)]
    with psycopg.connect(dsn) as connection, _server(dsn):
        connection.execute("SET synchronous_commit TO on")
        yield [
            Case(
                name=f"event ingest, {BATCH} events a request, {at_once} at a time",
                unit="events/s",
                product=partial(_ingest, connection, batches, at_once),
                baseline=partial(_copy, connection, batches),
                baseline_is="COPY of the same rows into the same table, one connection, same batch size",
            )
            for at_once in (1, 4)
        ]


def _event(number: int) -> tuple[str, bytes]:
    """An impression of five items as a client reports it: its id and its bytes."""
    event_id = uuid.uuid4().hex
    event = {
        "event_id": event_id,
        "type": "impression",
        "schema_version": 1,
        "surface": "home-feed",
        "occurred_at": datetime.now(UTC).isoformat(),
        "unit_ids": {"user": f"user-{number}", "session": f"session-{number}"},
        "decision_id": f"decision-{number}",
        "revision": 12,
        "assignments": [{"experiment": "ranker", "phase": 1, "arm": "treatment", "arm_propensity": 0.5}],
        "items": [
            {"id": f"item-{rank}", "position": rank, "score": 0.5, "rule_codes": [], "is_fallback": False}
            for rank in range(1, 6)
        ],
    }
    return event_id, orjson.dumps(event)


def _ingest(connection: psycopg.Connection, batches: list[list[tuple[str, bytes]]], at_once: int) -> float:
    """Post every batch over `at_once` kept connections; events per second."""
    _empty(connection)
    bodies = [b"\n".join(payload for _, payload in batch) for batch in batches]
    clients = [http.client.HTTPConnection("127.0.0.1", PORT, timeout=60) for _ in range(at_once)]
    for client in clients:
        client.connect()

    def send(index: int) -> int:
        accepted = 0
        for body in bodies[index::at_once]:
            headers = {"Authorization": "Bearer bench", "Content-Type": "application/x-ndjson"}
            clients[index].request("POST", "/api/v1/events", body, headers)
            accepted += orjson.loads(clients[index].getresponse().read())["accepted"]
        return accepted

    with ThreadPoolExecutor(at_once) as pool:
        started = time.perf_counter()
        accepted = sum(pool.map(send, range(at_once)))
        seconds = time.perf_counter() - started
    for client in clients:
        client.close()
    _expect(connection, accepted)
    return accepted / seconds


def _copy(connection: psycopg.Connection, batches: list[list[tuple[str, bytes]]]) -> float:
    """COPY every batch in a transaction of its own; events per second."""
    _empty(connection)
    started = time.perf_counter()
    for batch in batches:
        received_at = datetime.now(UTC).isoformat().encode()
        rows = [
            b"production\t%b\timpression\tlive\t%b\t%b\n"
            % (event_id.encode(), received_at, payload.replace(b"\\", b"\\\\"))
            for event_id, payload in batch
        ]
        with connection.cursor() as cursor, cursor.copy(COPY) as copy:
            copy.write(b"".join(rows))
        connection.commit()
    seconds = time.perf_counter() - started
    _expect(connection, BATCH * BATCHES)
    return BATCH * BATCHES / seconds


def _empty(connection: psycopg.Connection) -> None:
    connection.execute("TRUNCATE events_buffer")
    connection.commit()
    with psycopg.connect(connection.info.dsn, autocommit=True) as other:
        other.execute("CHECKPOINT")


def _expect(connection: psycopg.Connection, rows: int) -> None:
    counted = connection.execute("SELECT count(*) FROM events_buffer").fetchone()
    connection.commit()
    if counted != (rows,) or rows != BATCH * BATCHES:
        raise RuntimeError(f"{counted} rows stand in the table, {BATCH * BATCHES} were sent")


def _database() -> str:
    """An empty database with the product's tables on the embedded server of VAR_DIR."""
    var_dir = Path(os.environ.get("VAR_DIR", ROOT / "var" / "bench"))
    services.ensure_running(var_dir)
    admin = places(var_dir).database_url(SUPERUSER)
    with psycopg.connect(admin, autocommit=True, dbname="postgres") as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
        connection.execute(f"CREATE DATABASE {DATABASE}")
    parts = conninfo_to_dict(admin)
    url = f"postgresql://{parts['user']}@/{DATABASE}?host={parts['host']}"
    subprocess.run(
        [sys.executable, "-m", "django", "migrate", "events", "--skip-checks", "--verbosity", "0"],
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "controlplane.settings",
            "SECRET_KEY": uuid.uuid4().hex,
            "DATABASE_URL": url,
        },
        cwd=ROOT,
        check=True,
    )
    return make_conninfo(admin, dbname=DATABASE)


@contextmanager
def _server(dsn: str) -> Iterator[None]:
    command = [
        sys.executable,
        "-m",
        "granian",
        "--interface",
        "asginl",
        "--host",
        "127.0.0.1",
        "--port",
        str(PORT),
    ]
    command += ["--no-access-log", "--log-level", "error", "benchmarks._ingest_app:application"]
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "BENCH_DSN": dsn})
    try:
        _wait_until_open()
        yield
    finally:
        process.terminate()
        process.wait(timeout=20)


def _wait_until_open() -> None:
    for _ in range(200):
        try:
            http.client.HTTPConnection("127.0.0.1", PORT, timeout=1).connect()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError("granian did not start")
