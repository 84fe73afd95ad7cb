"""`manage.py demo` and `manage.py demo_verify` as a person runs them: everything real, in a data folder of its own."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
OWN = (
    "DATABASE_",
    "BROKER_URL",
    "LAKE_URL",
    "KEYS_DIR",
    "STATE_DIR",
    "AUDIT_ANCHOR_FILE",
    "SECRET_KEY",
    "DJANGO_",
)


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def manage(command: str, folder: Path, **steering: str) -> subprocess.CompletedProcess[str]:
    """The command on a data folder, with nothing of the test run's own services."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OWN)}
    ports = {"WEB_PORT": free_port(), "SERVE_PORT": free_port()}
    return subprocess.run(
        [sys.executable, "manage.py", command],
        cwd=ROOT,
        env={**kept, **ports, "VAR_DIR": str(folder), **steering},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


def summary_of(folder: Path) -> dict[str, Any]:
    found = json.loads((folder / "demo" / "summary.json").read_text())
    assert isinstance(found, dict)
    return found


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_demo__from_an_empty_folder_and_again__is_measured_and_verified(tmp_path: Path) -> None:
    first = manage("demo", tmp_path, ONCE="1")
    assert first.returncode == 0, first.stdout + first.stderr
    found = summary_of(tmp_path)
    assert (found["run"], found["experiment"]["verdict"]["word"]) == ("r1", "ship")
    assert found["slates"]["guardrail"]["after"]["share_with_item"] == 0.0
    assert found["slates"]["kill_switch"]["after"]["share_with_item"] == 0.0
    assert found["slates"]["pin"]["after"]["mean_position"] == 3.0
    assert "VERDICT        SHIP" in first.stdout
    verified = manage("demo_verify", tmp_path)
    assert verified.returncode == 0, verified.stdout + verified.stderr

    again = manage("demo", tmp_path, ONCE="1", EFFECT="0", SPLIT="60/40", SHOPPERS="3000", SEED="5")
    assert again.returncode == 0, again.stdout + again.stderr
    found = summary_of(tmp_path)
    assert (found["run"], found["seed"], found["effect"], found["split"]) == ("r2", 5, 0.0, [60.0, 40.0])
    assert (found["experiment"]["sample_ratio"]["level"], found["experiment"]["verdict"]["word"]) == (
        "alarm",
        "hold",
    )
    verified = manage("demo_verify", tmp_path)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    accounts = tmp_path / "demo" / "accounts.json"
    assert accounts.stat().st_mode & 0o077 == 0


def test_demo__cannot_be_steered_like_that__says_so_before_anything_starts(tmp_path: Path) -> None:
    done = manage("demo", tmp_path, SPLIT="60")
    assert done.returncode == 1
    assert "SPLIT=60: write two shares, control first, such as 60/40" in done.stderr
    assert not (tmp_path / "postgres").exists()
