"""Every process may die at any time: nothing acknowledged is lost or doubled, hosts go on deciding, the trail is whole."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
import redis

from controlplane.embedded.processes import ROOT
from controlplane.events.mover import STEPS
from tests.journeys.installation import LONG_LIVED, Installation
from tests.journeys.traffic import Traffic

pytestmark = [pytest.mark.kill, pytest.mark.xdist_group("installation"), pytest.mark.timeout(240)]
MOVER = "controlplane.events.mover"
DIED = 9
TRIES = 8


def test_up__on_an_empty_folder__is_ready_and_its_logs_are_clean(installation: Installation) -> None:
    said = installation.said_until_ready()

    assert set(installation.states()) == {*LONG_LIVED, "migrate", "bootstrap"}
    assert [line for line in said.splitlines() if "Traceback" in line or '"level": "error"' in line] == []


@pytest.mark.parametrize("name", LONG_LIVED)
def test_kill__each_process_while_events_are_sent__loses_and_doubles_nothing(
    name: str, installation: Installation, token: str, tmp_path: Path
) -> None:
    others = {other: installation.pid(other) for other in LONG_LIVED if other != name}
    with Traffic(installation, token, f"kill-{name}", tmp_path) as traffic:
        died_at, back_at = installation.kill(name)
        time.sleep(1)

    traffic.check()
    assert traffic.decided_between(died_at, back_at) > 10
    assert {other: installation.pid(other) for other in others} == others, "it took others with it"
    assert installation.verify_audit().startswith("intact: ")


def test_mover__killed_between_every_two_steps_and_two_at_once__each_event_once(
    installation: Installation, token: str, tmp_path: Path
) -> None:
    deaths = []
    with Traffic(installation, token, "mover", tmp_path) as traffic:
        for step in STEPS:
            for _ in range(TRIES):
                done = installation.run("-m", MOVER, "--once", "--rows", "500", "--stop-after", step)
                if done.returncode == DIED:
                    deaths.append(step)
                    break
        movers = [
            subprocess.Popen(
                [sys.executable, "-m", MOVER, "--rows", "500", "--seconds", "3"],
                cwd=ROOT,
                env=dict(installation.environment()),
            )
            for _ in range(2)
        ]
        codes = [mover.wait(60) for mover in movers]

    assert deaths == list(STEPS)
    assert codes == [0, 0]
    traffic.check()


def test_broker__flushed_again_and_again__means_delay_only(
    installation: Installation, token: str, tmp_path: Path
) -> None:
    broker = redis.Redis(unix_socket_path=str(installation.where.valkey_socket))
    with Traffic(installation, token, "flush", tmp_path) as traffic:
        for _ in range(10):
            broker.flushall()
            time.sleep(0.3)
    broker.close()

    traffic.check()
    assert traffic.unanswered == 0
    assert installation.verify_audit().startswith("intact: ")
