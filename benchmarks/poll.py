"""Polling the ruleset, 200 and 304, against a bare granian ASGI app that answers the same bytes.

Both servers run one worker with the flags of `manage.py up`; the load generator keeps 128 requests in flight.
"""

import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psycopg

from benchmarks import Case
from benchmarks._load import rate, request_bytes
from controlplane.embedded import services
from controlplane.embedded.places import SUPERUSER, places

ROOT = Path(__file__).resolve().parent.parent
DATABASE = "bench_poll"
REQUESTS = int(os.environ.get("BENCH_POLLS", "20000"))
PATH = "/api/v1/ruleset"
READY_SECONDS = 30.0


@contextmanager
def cases() -> Iterator[Iterable[Case]]:
    """A published ruleset, the product's server, the bare one, and the comparisons: 200 plain and gzip, 304."""
    with ExitStack() as stack, tempfile.TemporaryDirectory() as folder:
        environment = _installation(Path(folder))
        token = _scene(environment)
        serve = stack.enter_context(_granian("controlplane.serve:application", environment))
        found: list[Case] = []
        for name, accept in (("plain", "identity"), ("gzip", "gzip")):
            headers = {"Host": "bench", "Authorization": f"Bearer {token}", "Accept-Encoding": accept}
            answer = _first_answer(serve, headers)
            path = Path(folder) / f"{name}.json"
            path.write_text(json.dumps(answer), encoding="utf-8")
            bare = stack.enter_context(
                _granian("benchmarks._bare:application", {**environment, "BENCH_ANSWER": str(path)})
            )
            size = len(answer["body"]) // 2
            found.append(_case(f"ruleset poll, 200, {name}, {size:,} bytes", serve, bare, headers))
            if name == "gzip":
                known = {**headers, "If-None-Match": str(answer["etag"])}
                found.append(_case("ruleset poll, 304", serve, bare, known))
        yield found


def _case(name: str, serve: int, bare: int, headers: dict[str, str]) -> Case:
    request = request_bytes(PATH, headers)
    return Case(
        name=name,
        unit="polls/s",
        product=partial(rate, serve, request, requests=REQUESTS),
        baseline=partial(rate, bare, request, requests=REQUESTS),
        baseline_is="a bare granian ASGI app answering the same bytes",
    )


def _installation(folder: Path) -> dict[str, str]:
    """A migrated database of its own on the embedded server, and the environment that reaches it."""
    var_dir = Path(os.environ.get("VAR_DIR", ROOT / "var" / "bench"))
    addresses = services.ensure_running(var_dir)
    admin = places(var_dir).database_url(SUPERUSER)
    with psycopg.connect(admin, autocommit=True, dbname="postgres") as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
        connection.execute(f"CREATE DATABASE {DATABASE}")
    url = places(var_dir).database_url(SUPERUSER, DATABASE)
    environment = {
        **os.environ,
        **dict.fromkeys(("DATABASE_URL", "DATABASE_OWNER_URL", "DATABASE_DIRECT_URL"), url),
        "BROKER_URL": addresses["BROKER_URL"],
        "VAR_DIR": str(folder),
        "SECRET_KEY": uuid.uuid4().hex,
        "DJANGO_SETTINGS_MODULE": "controlplane.settings",
        "LOG_LEVEL": "ERROR",
        "PYTHONPATH": str(ROOT),
    }
    migrate = [sys.executable, "-m", "django", "migrate", "--skip-checks", "--verbosity", "0"]
    subprocess.run(migrate, env=environment, cwd=ROOT, check=True)
    return environment


def _scene(environment: dict[str, str]) -> str:
    made = subprocess.run(
        [sys.executable, "-m", "benchmarks._poll_scene"],
        env=environment, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    return made.stdout.strip().splitlines()[-1]


def _first_answer(port: int, headers: dict[str, str]) -> dict[str, Any]:
    """What the product answers once it holds the ruleset: body in hex, tag, and headers but those granian adds."""
    deadline = time.monotonic() + READY_SECONDS
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request("GET", PATH, headers=headers)
        response = connection.getresponse()
        body = response.read()
        connection.close()
        if response.status == 200:
            break
        if time.monotonic() > deadline:
            message = f"serve answered {response.status} for {READY_SECONDS:g} s: {body[:300]!r}"
            raise RuntimeError(message)
        time.sleep(0.1)
    kept = [
        (name.lower(), value)
        for name, value in response.getheaders()
        if name.lower() not in {"date", "server"}
    ]
    return {"body": body.hex(), "etag": response.headers["ETag"], "headers": kept}


@contextmanager
def _granian(application: str, environment: dict[str, str]) -> Iterator[int]:
    """The application on a free port, until the block ends."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    flags = ["--interface", "asgi", "--no-ws", "--loop", "asyncio", "--workers", "1", "--log-level", "error"]
    flags += ["--workers-kill-timeout", "3", "--host", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen(
        [sys.executable, "-m", "granian", *flags, application],
        env=environment, cwd=ROOT,
    )  # fmt: skip
    try:
        _wait_until_open(process, port)
        yield port
    finally:
        process.terminate()
        process.wait(timeout=20)


def _wait_until_open(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    message = f"the server on port {port} did not come up"
    raise RuntimeError(message)
