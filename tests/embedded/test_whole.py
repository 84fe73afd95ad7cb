"""The whole process table on an empty folder: up, killed, saved, stopped, brought back elsewhere."""

import json
import os
import signal
import socket
import subprocess
import sys
from typing import Any

import pytest

from controlplane.embedded import services
from controlplane.embedded.places import Places, places
from controlplane.embedded.processes import NAMES, PROCESSES, ROOT
from controlplane.embedded.programs import answers, health_url
from tests.embedded.conftest import Up, bare_environment, eventually, mentions

PRODUCT = "controlplane.settings"


def _free_ports(count: int) -> list[int]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in held]
    for each in held:
        each.close()
    return ports


def _processes(where: Places) -> dict[str, Any]:
    try:
        listed: dict[str, Any] = json.loads(where.status.read_text())["processes"]
    except FileNotFoundError:
        return {}
    return listed


def _all_ready(where: Places) -> bool:
    states = {name: entry["state"] for name, entry in _processes(where).items()}
    return states == dict.fromkeys(NAMES, "ready") | {
        process.name: "done" for process in PROCESSES if process.runs_once
    }


def _manage(where: Places, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=bare_environment(where, {"DJANGO_SETTINGS_MODULE": PRODUCT}),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.kill
@pytest.mark.timeout(400)
def test_installation__whole_life__loses_nothing_and_leaves_nothing(where: Places, up: Up) -> None:
    web, serve = _free_ports(2)
    process = up(WEB_PORT=str(web), SERVE_PORT=str(serve), DJANGO_SETTINGS_MODULE=PRODUCT)
    assert eventually(lambda: _all_ready(where) or process.poll() is not None, seconds=120)
    assert process.poll() is None, process.communicate()
    assert answers(health_url("127.0.0.1", web))
    assert answers(health_url("127.0.0.1", serve))

    before = {name: entry["pid"] for name, entry in _processes(where).items() if entry["pid"]}
    for pid in before.values():
        os.kill(pid, signal.SIGKILL)

    def is_back() -> bool:
        after = {name: entry["pid"] for name, entry in _processes(where).items()}
        return _all_ready(where) and all(after[name] != pid for name, pid in before.items())

    assert eventually(is_back, seconds=120)
    assert answers(health_url("127.0.0.1", web))

    _manage(where, "publish")
    saved = where.var_dir.parent / "saved.tar"
    heads = [line for line in _manage(where, "backup", str(saved)).splitlines() if line.startswith("head of")]
    process.send_signal(signal.SIGTERM)
    output, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (0, "")
    assert f"up       | web: http://127.0.0.1:{web}/\n" in output
    assert mentions(str(where.var_dir)) == set()
    assert mentions(f"--port\0{web}") | mentions(f"--port\0{serve}") == set()

    other = places(where.var_dir.parent / "other")
    restored = _manage(other, "restore", str(saved)).splitlines()
    assert [line for line in restored if line.startswith("head of")] == heads
    assert [line.partition(":")[0] for line in heads] == ["head of production", "head of staging"]
    assert any(line.startswith("intact: ") for line in restored)
    assert not services.running(other.var_dir)
