"""What happens at a fork, at exit, and on import, each in a real process."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

from tests.client.conftest import MakeClient
from tests.client.peer import TOKEN, Peer
from tests.client.waiting import eventually

ROOT = Path(__file__).resolve().parents[2]


def run(code: str, *arguments: str, timeout: float = 30.0) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter with the checkout on its path."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code), *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def click(name: str) -> dict[str, object]:
    return {"event_id": name, "type": "click", "surface": "s", "item_id": "i", "unit_ids": {"user": "u"}}


def test_fork__child_decides_polls_and_sends_its_own_events_only(peer: Peer, make_client: MakeClient) -> None:
    client = make_client(flush_seconds=60.0)
    assert client.wait_until_ready(5.0)
    for number in range(5):
        client.track(click(f"parent-{number}"))
    child = os.fork()
    if child == 0:
        code = 1
        try:
            decided = client.decide("home-feed", {"user": "u"}, {}, [], slots=5).revision == 1
            client.track(click("child"))
            code = 0 if decided and client.flush(5.0) and client.stats().tracked == 1 else 2
            client.close()
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert sorted(peer.events) == ["child"]
    assert client.flush(5.0)
    assert sorted(peer.events) == ["child", *[f"parent-{n}" for n in range(5)]]
    assert len(peer.received) == 6


PREFORK = """
    import os, sys
    from pathlib import Path
    from controlplane.client import Client
    url, token, cache = sys.argv[1:]
    client = Client(url, token, cache_dir=cache, poll_seconds=0.05, flush_seconds=0.05)
    assert client.wait_until_ready(5.0)
    children = []
    for worker in range(4):
        pid = os.fork()
        if pid == 0:
            try:
                for n in range(200):
                    client.track({"event_id": f"w{worker}-{n}", "type": "identify", "unit_ids": {"user": "u"}})
                ok = client.wait_for_revision(1, 5.0) and client.flush(10.0)
                client.close()
                os._exit(0 if ok else 3)
            except BaseException:
                os._exit(4)
        children.append(pid)
    codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
    sys.exit(0 if codes == [0, 0, 0, 0] else 5)
"""


def test_fork__four_workers__each_delivers_its_events_once(peer: Peer, tmp_path: Path) -> None:
    done = run(PREFORK, peer.url, TOKEN, str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    assert len(peer.events) == 800
    assert len(peer.received) == 800


EXITS = """
    import sys
    from controlplane.client import Client
    url, token, cache = sys.argv[1:]
    client = Client(url, token, cache_dir=cache, flush_seconds=60.0)
    for n in range(50):
        client.track({"event_id": f"x{n}", "type": "identify", "unit_ids": {"user": "u"}})
"""


def test_exit__without_close__events_are_delivered(peer: Peer, tmp_path: Path) -> None:
    done = run(EXITS, peer.url, TOKEN, str(tmp_path))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert len(peer.events) == 50


def test_exit__server_away__events_wait_on_disk_for_the_next_process(
    peer: Peer, make_client: MakeClient, tmp_path: Path
) -> None:
    done = run(EXITS, "http://127.0.0.1:9", TOKEN, str(tmp_path / "cache"), timeout=10.0)
    assert done.returncode == 0
    make_client()
    assert eventually(lambda: len(peer.events) == 50)


IMPORTS = """
    import json, sys
    before = set(sys.modules)
    import controlplane.client
    print(json.dumps(sorted(name.partition(".")[0] for name in set(sys.modules) - before)))
"""


def test_import__client__needs_the_standard_library_and_the_engine_only() -> None:
    done = run(IMPORTS)
    assert done.returncode == 0, done.stderr
    loaded = set(json.loads(done.stdout))
    assert loaded - set(sys.stdlib_module_names) == {"controlplane"}
