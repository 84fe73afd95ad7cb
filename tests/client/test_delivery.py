import threading
import time
from pathlib import Path

from controlplane.client import EventRefused, Limits
from tests.client.conftest import MakeClient, Told
from tests.client.peer import Fault, Peer, serving
from tests.client.waiting import eventually


def click(number: int) -> dict[str, object]:
    return {
        "event_id": f"e{number}",
        "type": "click",
        "surface": "home-feed",
        "item_id": "item-1",
        "unit_ids": {"user": f"u{number}"},
    }


def test_track__many_events__all_arrive_once(peer: Peer, make_client: MakeClient) -> None:
    client = make_client()
    assert all(client.track(click(n)) for n in range(2_500))
    assert client.flush(10.0)
    assert sorted(peer.events) == sorted(f"e{n}" for n in range(2_500))
    assert max(peer.batches) <= 1_000
    stats = client.stats()
    assert (stats.tracked, stats.sent, stats.accepted, stats.duplicate) == (2_500, 2_500, 2_500, 0)
    assert (stats.quarantined, stats.dropped, stats.waiting) == (0, 0, 0)


def test_track__no_id_and_time__are_added(peer: Peer, make_client: MakeClient) -> None:
    client = make_client(ids=iter(["made-up-id"]).__next__)
    assert client.track({"type": "identify", "unit_ids": {"user": "u"}})
    assert client.flush(5.0)
    event = peer.events["made-up-id"]
    assert event["schema_version"] == 1
    assert str(event["occurred_at"]).endswith("Z")


def test_track__server_fails__comes_again_with_the_same_ids(peer: Peer, make_client: MakeClient) -> None:
    client = make_client()
    peer.event_faults.extend([Fault(503), Fault(429, headers={"Retry-After": "0"}), Fault(500), Fault(0)])
    for number in range(10):
        client.track(click(number))
    assert client.flush(10.0)
    assert sorted(peer.events) == sorted(f"e{n}" for n in range(10))
    stats = client.stats()
    assert (stats.delivery_failures, stats.accepted) == (4, 10)


def test_track__answer_lost_after_the_work__is_sent_again_and_counted_as_duplicate(
    peer: Peer, make_client: MakeClient
) -> None:
    client = make_client()
    peer.event_faults.append(Fault(0, after_work=True))
    for number in range(10):
        client.track(click(number))
    assert client.flush(10.0)
    stats = client.stats()
    assert len(peer.received) == 20
    assert len(peer.events) == 10
    assert (stats.sent, stats.accepted, stats.duplicate) == (10, 0, 10)


def test_track__server_too_slow__times_out_and_comes_again(
    peer: Peer, make_client: MakeClient, told: Told
) -> None:
    never = threading.Event()
    client = make_client(timeout=0.1)
    peer.event_faults.append(Fault(503, wait=never))
    client.track(click(1))
    assert client.flush(5.0)
    assert "TransportFailed" in told.kinds()
    assert sorted(peer.events) == ["e1"]
    never.set()


def test_track__some_other_server_answers_200__is_no_acknowledgement(
    peer: Peer, make_client: MakeClient, told: Told
) -> None:
    client = make_client()
    peer.event_faults.extend(
        [
            Fault(200, body=b"<html>welcome</html>"),
            Fault(202, body=b"<html>welcome</html>"),
            Fault(202, body=b'{"accepted": 0, "duplicate": 0, "quarantined": 0}'),
            Fault(202, body=b"[" * 100_000),
            Fault(302, headers={"Location": "http://127.0.0.1:9/"}),
            Fault(400, body=b"not a problem"),
        ]
    )
    client.track(click(1))
    assert client.flush(10.0)
    assert sorted(peer.events) == ["e1"]
    assert told.kinds() == {"DeliveryFailed"}
    assert client.stats().delivery_failures == 6


def test_track__one_line_quarantined__the_rest_is_accepted(
    peer: Peer, make_client: MakeClient, told: Told
) -> None:
    client = make_client()
    peer.refuse = {"e3"}
    for number in range(5):
        client.track(click(number))
    assert client.flush(5.0)
    stats = client.stats()
    assert (stats.accepted, stats.quarantined) == (4, 1)
    refused = [error for error in told.errors if isinstance(error, EventRefused)]
    assert [(error.event_id, error.code) for error in refused] == [("e3", "unknown_field")]


def test_track__batch_unreadable_as_a_whole__is_halved_until_the_bad_one_stands_alone(
    peer: Peer, make_client: MakeClient, told: Told
) -> None:
    client = make_client()
    peer.unreadable = {"e7"}
    for number in range(20):
        client.track(click(number))
    assert client.flush(5.0)
    assert sorted(peer.events) == sorted(f"e{n}" for n in range(20) if n != 7)
    assert [error.event_id for error in told.errors if isinstance(error, EventRefused)] == ["e7"]
    assert client.stats().quarantined == 1


def test_track__not_json__is_refused_at_once(peer: Peer, make_client: MakeClient, told: Told) -> None:
    client = make_client()
    loop: dict[str, object] = {}
    loop["self"] = loop
    assert not client.track({**click(1), "value": float("nan")})
    assert not client.track({**click(2), "properties": {"x": object()}})
    assert not client.track({**click(3), "properties": loop})
    assert [error.code for error in told.errors if isinstance(error, EventRefused)] == ["not_json"] * 3


def test_track__server_away_and_memory_full__spills_and_delivers_after_it_returns(
    make_client: MakeClient, tmp_path: Path
) -> None:
    with serving(Peer()) as gone:
        port = int(gone.url.rsplit(":", 1)[1])
    client = make_client(url=f"http://127.0.0.1:{port}", limits=Limits(memory_events=100))
    assert all(client.track(click(n)) for n in range(1_000))
    assert client.stats().spilled >= 800
    assert list((tmp_path / "cache").rglob("*.ndjson"))
    with serving(Peer(), port=port) as back:
        assert client.flush(15.0) or client.flush(15.0)
        assert sorted(back.events) == sorted(f"e{n}" for n in range(1_000))
    assert client.stats().dropped == 0


def test_close__events_waiting__are_delivered(peer: Peer, make_client: MakeClient) -> None:
    client = make_client(flush_seconds=60.0)
    for number in range(10):
        client.track(click(number))
    client.close()
    assert sorted(peer.events) == sorted(f"e{n}" for n in range(10))


def test_close__server_away__is_quick_and_the_next_process_delivers(
    peer: Peer, make_client: MakeClient, tmp_path: Path
) -> None:
    first = make_client(url="http://127.0.0.1:9")
    for number in range(10):
        first.track(click(number))
    began = time.monotonic()
    first.close(timeout=2.0)
    assert time.monotonic() - began < 1.0
    assert peer.events == {}
    second = make_client()
    assert eventually(lambda: len(peer.events) == 10)
    second.close()
    assert list((tmp_path / "cache").rglob("*.ndjson")) == []


def test_close__server_hangs__ends_within_the_given_time_and_keeps_the_events(
    peer: Peer, make_client: MakeClient, tmp_path: Path
) -> None:
    never = threading.Event()
    client = make_client(timeout=30.0)
    peer.event_faults.append(Fault(503, wait=never))
    client.track(click(1))
    assert eventually(lambda: not peer.event_faults)
    began = time.monotonic()
    client.close(timeout=0.3)
    assert time.monotonic() - began < 2.0
    (kept,) = (tmp_path / "cache").rglob("*.ndjson")
    assert b'"e1"' in kept.read_bytes()
    never.set()


def test_close__twice_and_track_afterwards__harmless(peer: Peer, make_client: MakeClient) -> None:
    client = make_client()
    assert client.wait_until_ready(5.0)
    client.close()
    client.close()
    assert not client.track(click(1))
    assert client.decide("home-feed", {"user": "u"}, {}, [], slots=5).revision == 1


def test_flush__server_away__says_so(make_client: MakeClient) -> None:
    client = make_client(url="http://127.0.0.1:9")
    client.track(click(1))
    assert not client.flush(0.2)


def test_track__from_many_threads__nothing_lost(peer: Peer, make_client: MakeClient) -> None:
    client = make_client()

    def work(first: int) -> None:
        for number in range(first, first + 500):
            client.track(click(number))

    threads = [threading.Thread(target=work, args=(n * 500,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert client.flush(15.0)
    assert len(peer.events) == 4_000
    assert len(peer.received) == 4_000
