import copy
import json
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from controlplane.client import Client, PollFailed, RulesetRefused
from tests.client.conftest import MakeClient, Told
from tests.client.documents import document, signed
from tests.client.peer import Fault, Peer
from tests.client.waiting import eventually


def test_client__first_poll__holds_the_ruleset(peer: Peer, make_client: MakeClient) -> None:
    client = make_client()
    assert client.wait_until_ready(5.0)
    assert (client.revision, client.environment) == (1, "production")
    assert client.age_seconds is not None
    assert 0.0 <= client.age_seconds < 5.0


def test_client__unchanged_ruleset__polls_with_its_etag(peer: Peer, make_client: MakeClient) -> None:
    client = make_client()
    assert client.wait_until_ready(5.0)
    assert eventually(lambda: len(peer.polls) >= 4)
    assert peer.polls[0] == 200
    assert set(peer.polls[1:]) == {304}


def test_client__new_revision__takes_it(peer: Peer, make_client: MakeClient) -> None:
    client = make_client()
    assert client.wait_until_ready(5.0)
    peer.document = document(revision=2)
    assert client.wait_for_revision(2, 5.0)
    assert client.revision == 2


def test_client__lower_revision__is_refused_and_the_held_one_stays(
    peer: Peer, make_client: MakeClient, told: Told
) -> None:
    peer.document = document(revision=7)
    client = make_client()
    assert client.wait_until_ready(5.0)
    peer.document = document(revision=6)
    assert eventually(lambda: told.errors)
    error = told.errors[0]
    assert isinstance(error, RulesetRefused)
    assert (error.code, str(error)) == ("lower_revision", "revision 6 after 7")
    assert client.revision == 7


def test_client__other_environment__is_refused(peer: Peer, make_client: MakeClient, told: Told) -> None:
    client = make_client(environment="staging")
    assert eventually(lambda: told.errors)
    assert [error.code for error in told.errors[:1] if isinstance(error, RulesetRefused)] == [
        "other_environment"
    ]
    assert client.revision is None


def test_client__environment_not_named__the_first_one_is_kept(
    peer: Peer, make_client: MakeClient, told: Told
) -> None:
    client = make_client()
    assert client.wait_until_ready(5.0)
    peer.document = document(revision=9, environment="staging")
    assert eventually(lambda: told.errors)
    assert (client.revision, client.environment) == (1, "production")


def _without_sections() -> bytes:
    return json.dumps({"manifest": document()["manifest"]}).encode()


def _altered_section() -> bytes:
    changed = copy.deepcopy(document(revision=5))
    changed["sections"]["surface:home-feed"]["surface"]["slots"] = 3
    return json.dumps(changed).encode()


def _broken_condition() -> bytes:
    sections = document()["sections"]
    sections["surface:home-feed"]["overrides"][0]["when"]["condition"] = {"country": {"$nosuch": 1}}
    return json.dumps(signed({"sections": sections}, revision=5, environment="production")).encode()


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"not json", "unreadable"),
        (b"\xff\xfe\x00", "unreadable"),
        (b"[" * 200_000, "unreadable"),
        (b"[]", "invalid"),
        (b"null", "invalid"),
        (b"{}", "invalid"),
        (_without_sections(), "invalid"),
        (_broken_condition(), "invalid"),
        (_altered_section(), "invalid"),
    ],
    ids=["text", "bytes", "nested", "list", "null", "empty", "no-sections", "bad-arms", "altered"],
)
def test_client__document_that_does_not_validate__is_refused(
    peer: Peer, make_client: MakeClient, told: Told, raw: bytes, code: str
) -> None:
    client = make_client()
    assert client.wait_until_ready(5.0)
    peer.raw = raw
    assert eventually(lambda: told.errors)
    error = told.errors[0]
    assert isinstance(error, RulesetRefused)
    assert error.code == code
    assert client.revision == 1
    peer.raw = None
    peer.document = document(revision=2)
    assert client.wait_for_revision(2, 5.0)


def test_client__server_fails__keeps_deciding_and_recovers(
    peer: Peer, make_client: MakeClient, told: Told
) -> None:
    client = make_client()
    assert client.wait_until_ready(5.0)
    peer.poll_faults.extend([Fault(503), Fault(500), Fault(0)])
    peer.document = document(revision=2)
    assert client.wait_for_revision(2, 5.0)
    assert [error.status for error in told.errors if isinstance(error, PollFailed)] == [503, 500]
    assert told.kinds() == {"PollFailed", "TransportFailed"}


def test_client__server_asks_to_wait__does(peer: Peer, make_client: MakeClient, told: Told) -> None:
    client = make_client()
    assert client.wait_until_ready(5.0)
    peer.poll_faults.append(Fault(429, headers={"Retry-After": "1"}))
    assert eventually(lambda: told.errors)
    polls = len(peer.polls)
    peer.document = document(revision=2)
    assert not client.wait_for_revision(2, 0.7)
    assert len(peer.polls) == polls
    assert client.wait_for_revision(2, 3.0)


def test_client__wrong_token__reports_and_goes_on_trying(
    peer: Peer, make_client: MakeClient, told: Told
) -> None:
    client = make_client(token="cp_wrong")
    assert not client.wait_until_ready(0.3)
    assert {error.status for error in told.errors if isinstance(error, PollFailed)} == {401}
    assert client.revision is None
    assert client.age_seconds is None


def test_client__nobody_listens__constructing_and_asking_is_quick(
    make_client: MakeClient, told: Told
) -> None:
    client = make_client(url="http://127.0.0.1:9")
    assert client.ruleset is None
    assert not client.wait_until_ready(0.2)
    assert eventually(lambda: told.kinds() == {"TransportFailed"})


def test_client__restarted_without_a_server__decides_from_disk(
    peer: Peer, make_client: MakeClient, tmp_path: Path
) -> None:
    first = make_client(environment="production")
    assert first.wait_until_ready(5.0)
    assert eventually(lambda: list((tmp_path / "cache").glob("ruleset-*.json")))
    first.close()
    second = make_client(url="http://127.0.0.1:9", environment="production")
    assert second.revision == 1
    assert second.decide("home-feed", {"user": "u"}, {}, [], slots=5).revision == 1


def test_client__disk_holds_a_higher_revision__server_s_lower_one_is_refused(
    peer: Peer, make_client: MakeClient, told: Told
) -> None:
    peer.document = document(revision=9)
    first = make_client()
    assert first.wait_until_ready(5.0)
    first.close()
    peer.document = document(revision=8)
    second = make_client()
    assert eventually(lambda: told.kinds() == {"RulesetRefused"})
    assert second.revision == 9


def test_client__damaged_file__is_reported_and_replaced(
    peer: Peer, make_client: MakeClient, told: Told, tmp_path: Path
) -> None:
    first = make_client()
    assert first.wait_until_ready(5.0)
    first.close()
    (path,) = (tmp_path / "cache").glob("ruleset-*.json")
    path.write_bytes(path.read_bytes()[:-3])
    second = make_client()
    assert second.wait_until_ready(5.0)
    assert [error.code for error in told.errors if isinstance(error, RulesetRefused)] == ["unreadable"]
    second.close()
    told.errors.clear()
    assert make_client(url="http://127.0.0.1:9").revision == 1


def test_client__folder_not_writable__still_serves(
    peer: Peer, make_client: MakeClient, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    client = make_client(cache_dir=tmp_path / "file" / "cache")
    assert client.wait_until_ready(5.0)
    assert client.revision == 1


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


def test_client__nothing_confirmed_for_long__alarms_once_until_it_recovers(
    peer: Peer, make_client: MakeClient, told: Told
) -> None:
    clock = Clock()
    client = make_client(clock=clock, stale_seconds=60.0)
    assert client.wait_until_ready(5.0)
    assert client.age_seconds == 0.0
    for outage, ages in ((61, [61.0]), (100, [61.0, 100.0])):
        peer.down = True
        assert _more_failures(client, 1)
        assert len(told.stale) == len(ages) - 1
        clock.now += timedelta(seconds=outage)
        assert _more_failures(client, 3)
        assert told.stale == ages
        peer.down = False
        assert eventually(lambda: client.age_seconds == 0.0)
        assert _more_polls(peer, 2)


def _more_failures(client: Client, number: int) -> bool:
    wanted = client.stats().poll_failures + number
    return eventually(lambda: client.stats().poll_failures >= wanted)


def _more_polls(peer: Peer, number: int) -> bool:
    wanted = len(peer.polls) + number
    return eventually(lambda: len(peer.polls) >= wanted)


def test_client__hook_raises__polling_goes_on(peer: Peer, make_client: MakeClient) -> None:
    def broken(_: object) -> None:
        raise RuntimeError("the host's own mistake")

    peer.poll_faults.extend([Fault(503), Fault(503)])
    client = make_client(on_error=broken, on_stale=broken, stale_seconds=0.001)
    assert client.wait_until_ready(5.0)


def test_client__answer_without_end__gives_up(peer: Peer, make_client: MakeClient, told: Told) -> None:
    never = threading.Event()
    client = make_client(timeout=0.1)
    assert client.wait_until_ready(5.0)
    peer.poll_faults.append(Fault(503, wait=never))
    assert eventually(lambda: told.errors)
    assert told.kinds() == {"TransportFailed"}
    peer.document = document(revision=2)
    assert client.wait_for_revision(2, 5.0)
    never.set()
