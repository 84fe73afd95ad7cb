from datetime import UTC, datetime
from typing import Any

import pytest

from controlplane.client import Candidate, Client
from controlplane.client.events import is_fully_logged
from controlplane.engine import Request, decide
from tests.client.conftest import MakeClient, Told
from tests.client.documents import document
from tests.client.peer import Peer

CANDIDATES = [
    Candidate(id=f"item-{n}", score=1.0 / n, propensity=0.5 if n == 1 else None) for n in range(1, 8)
]


def test_decide__with_a_ruleset__is_the_engine_s_decision(peer: Peer, make_client: MakeClient) -> None:
    client = make_client()
    assert client.wait_until_ready(5.0)
    request = client.request("home-feed", {"user": "u-1"}, {"country": "NL"}, CANDIDATES, slots=5)
    decision = client.decide_request(request)
    assert client.ruleset is not None
    assert decision == decide(client.ruleset, request)
    assert decision.revision == 1
    assert [item.id for item in decision.slate] == ["item-4", "item-1", "item-2", "item-3", "item-5"]
    assert decision.slate[0].rule_codes == ("override:autumn@3",)
    assert decision.assignments[0].arm in {"control", "treatment"}


def test_decide__without_a_ruleset__keeps_the_host_s_order(make_client: MakeClient) -> None:
    client = make_client(url="http://127.0.0.1:9")
    decision = client.decide("home-feed", {"user": "u"}, {}, CANDIDATES, slots=3)
    assert [item.id for item in decision.slate] == ["item-1", "item-2", "item-3"]
    assert (decision.revision, decision.reasons, decision.assignments) == (0, ("no_ruleset",), ())


def test_decide__ids_given__are_the_decision_s(peer: Peer, make_client: MakeClient) -> None:
    client = make_client(ids=iter(["d-1", "d-2"]).__next__)
    assert client.decide("home-feed", {"user": "u"}).decision_id == "d-1"
    assert client.decide("home-feed", {"user": "u"}).decision_id == "d-2"


def arm_of(client: Client, user: str) -> str | None:
    (assignment,) = client.assign("home-feed", {"user": user}, {})
    return assignment.arm


def test_assign__same_unit__same_arm_every_time(peer: Peer, make_client: MakeClient) -> None:
    client = make_client()
    assert client.wait_until_ready(5.0)
    arms = {arm_of(client, "u-1") for _ in range(20)}
    assert len(arms) == 1
    split = [arm_of(client, f"u-{n}") for n in range(2_000)]
    assert 900 < split.count("treatment") < 1_100


def test_assign__without_a_ruleset__is_empty(make_client: MakeClient) -> None:
    assert make_client(url="http://127.0.0.1:9").assign("home-feed", {"user": "u"}, {}) == ()


class Explosive:
    """Something a host may hand over by mistake."""

    def __getattr__(self, name: str) -> object:
        raise RuntimeError(name)

    def __iter__(self) -> object:
        raise RuntimeError("iter")

    def __str__(self) -> str:
        raise RuntimeError("str")


BAD_ARGUMENTS: list[tuple[Any, Any, Any, Any, Any]] = [
    (None, None, None, None, None),
    ("home-feed", 5, 5, 5, "many"),
    ("home-feed", {"user": 5}, {"a": object()}, [None, 3, "x"], -1),
    ("home-feed", Explosive(), Explosive(), Explosive(), Explosive()),
    ("home-feed", {"user": "u"}, {}, [Candidate(id="a", score=float("nan"))], 10**30),
    ("nowhere", {}, {}, CANDIDATES, 2),
    (b"\x00", {"user": "u" * 100_000}, [], CANDIDATES, 0),
]


@pytest.mark.parametrize("arguments", BAD_ARGUMENTS, ids=range(len(BAD_ARGUMENTS)))
def test_public_methods__given_anything__never_raise(
    peer: Peer, make_client: MakeClient, arguments: tuple[Any, Any, Any, Any, Any]
) -> None:
    client = make_client()
    assert client.wait_until_ready(5.0)
    surface, units, context, candidates, slots = arguments
    request = client.request(surface, units, context, candidates, slots)
    decision = client.decide_request(request)
    assert client.decide(surface, units, context, candidates, slots).law == 1
    assert isinstance(client.assign(surface, units, context), tuple)
    for track in (client.track_decision, client.track_impression, client.track_exposure):
        assert track(decision, request) in {True, False}
    bad: Any = arguments
    assert client.decide_request(bad).law == 1
    assert client.track(bad) is False
    assert client.track_decision(bad, bad) is False
    assert client.track_impression(bad, bad, visible=bad) is False
    assert client.wait_until_ready(bad) in {True, False}
    assert client.wait_for_revision(bad, bad) is False
    assert client.flush(bad) in {True, False}
    assert client.revision == 1


def test_decide__clock_raises_later__host_still_gets_its_order(
    peer: Peer, make_client: MakeClient, told: Told
) -> None:
    broken: list[bool] = []

    def clock() -> datetime:
        if broken:
            raise OSError("no clock")
        return datetime(2026, 11, 23, 10, 0, tzinfo=UTC)

    client = make_client(clock=clock)
    assert client.wait_until_ready(5.0)
    broken.append(True)
    decision = client.decide("home-feed", {"user": "u"}, {}, CANDIDATES, slots=2)
    assert len(decision.slate) == 2
    assert client.age_seconds == 0.0
    assert client.track({"type": "identify"}) is False
    assert "HostCallFailed" in told.kinds()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"url": "rules.example"}, "url"),
        ({"url": ""}, "url"),
        ({"token": ""}, "token"),
        ({"token": "cp_a\r\nX: y"}, "token"),
        ({"poll_seconds": 0}, "poll_seconds"),
        ({"timeout": -1.0}, "timeout"),
    ],
)
def test_client__settings_that_cannot_work__are_refused_when_made(
    make_client: MakeClient, given: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        make_client(**given)


def test_track_decision__reports_slate_and_assignments(peer: Peer, make_client: MakeClient) -> None:
    client = make_client(ids=iter(["d-1"]).__next__)
    assert client.wait_until_ready(5.0)
    request = client.request("home-feed", {"user": "u-1", "session": "s"}, {}, CANDIDATES, slots=3)
    decision = client.decide_request(request)
    assert client.track_decision(decision, request, properties={"run": "r1"})
    assert client.track_exposure(decision, request)
    assert client.track_impression(decision, request, visible=["item-4"])
    assert client.flush(5.0)
    assert sorted(peer.events) == ["decision.d-1", "exposure.d-1", "impression.d-1"]
    arm = decision.assignments[0].arm
    said = [{"experiment": "ranker-v2", "phase": 1, "arm": arm, "arm_propensity": 0.5}]
    event = peer.events["decision.d-1"]
    assert event["assignments"] == said
    assert event["unit_ids"] == {"user": "u-1", "session": "s"}
    assert (event["type"], event["surface"], event["decision_id"], event["revision"]) == (
        "decision",
        "home-feed",
        "d-1",
        1,
    )
    assert event["properties"] == {"run": "r1"}
    assert event["items"][1]["item_propensity"] == 0.5
    assert [(item["id"], item["position"]) for item in event["items"]] == [
        ("item-4", 1),
        ("item-1", 2),
        ("item-2", 3),
    ]
    assert "item_propensity" not in event["items"][2]
    assert {gone.reason for gone in decision.removed} == {"truncated"}
    assert event["removed"] == []
    assert "request" not in event
    assert "items" not in peer.events["exposure.d-1"]
    shown = peer.events["impression.d-1"]["items"]
    assert [item["is_visible"] for item in shown] == [True, False, False]


def test_track_decision__pinned_item__its_propensity_is_null(peer: Peer, make_client: MakeClient) -> None:
    client = make_client()
    assert client.wait_until_ready(5.0)
    request = client.request("home-feed", {"user": "u"}, {}, CANDIDATES[:2], slots=3)
    decision = client.decide_request(request)
    client.track_decision(decision, request)
    assert client.flush(5.0)
    (event,) = peer.received
    pinned = event["items"][0]
    assert (pinned["id"], pinned["item_propensity"]) == ("item-4", None)


def test_track_decision__log_rate__attaches_the_request_of_the_hashed_share(
    peer: Peer, make_client: MakeClient
) -> None:
    peer.document = document(log_rate=2_000)
    ids = [f"d-{n}" for n in range(500)]
    client = make_client(ids=iter(ids).__next__)
    assert client.wait_until_ready(5.0)
    for _ in ids:
        request = client.request("home-feed", {"user": "u"}, {"x": 1}, CANDIDATES, slots=3)
        client.track_decision(client.decide_request(request), request)
    assert client.flush(5.0)
    logged = {event["decision_id"] for event in peer.received if "request" in event}
    assert logged == {one for one in ids if is_fully_logged(one, log_rate=2_000)}
    assert 60 < len(logged) < 140


def test_track_decision__logged_request__replays_to_the_same_decision(
    peer: Peer, make_client: MakeClient
) -> None:
    peer.document = document(log_rate=10_000)
    client = make_client()
    assert client.wait_until_ready(5.0)
    request = client.request("home-feed", {"user": "u"}, {"country": "NL"}, CANDIDATES, slots=3)
    decision = client.decide_request(request)
    client.track_decision(decision, request)
    assert client.flush(5.0)
    assert client.ruleset is not None
    assert decide(client.ruleset, Request.from_json(peer.received[0]["request"])) == decision


def test_is_fully_logged__rates__match_the_share() -> None:
    ids = [f"{n:032x}" for n in range(20_000)]
    share = sum(is_fully_logged(one, log_rate=100) for one in ids)
    assert 140 < share < 260
    assert not any(is_fully_logged(one, log_rate=0) for one in ids)
    assert all(is_fully_logged(one, log_rate=10_000) for one in ids)
