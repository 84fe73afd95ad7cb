"""What experiments contribute to a ruleset, and what the engine makes of it."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.engine import Request, assign
from controlplane.engine.ranges import arm_ranges
from experiments import services
from experiments.ruleset import fragment, seed
from tests.engine.documents import AT, ruleset, shared_section
from tests.experiments.making import ANALYST, NOW, draft, started

USERS = [f"user-{number}" for number in range(400)]


def arms_of(body: dict[str, Any], users: list[str] = USERS) -> dict[str, str | None]:
    """The arm of each user under one experiment."""
    rules = ruleset(shared_section(experiments=[body]))
    return {
        user: assign(rules, Request(surface="home", at=AT, unit_ids={"user": user}, context={}))[0].arm
        for user in users
    }


def body(*, weights: list[int], coverage: int, salt: str) -> dict[str, Any]:
    ranges = arm_ranges(weights, coverage)
    return {
        "key": "checkout", "version": 1, "phase": 1, "salt": salt, "hash_attribute": "user", "hash_version": 2,
        "coverage": coverage, "condition": None, "audience": None, "filters": [], "windows": [],
        "arms": [
            {"key": f"arm-{n}", "weight": weight, "ranges": ranges[n], "parameters": {}} for n, weight in enumerate(weights)
        ],
    }  # fmt: skip


@pytest.mark.usefixtures("_ground")
def test_fragment__a_running_experiment__its_exact_body_on_its_surfaces() -> None:
    experiment = started(surfaces=["home-feed", "search"], audience="gold", coverage=5_000)
    draft("quiet")
    found = fragment("production", NOW)
    assert [(entry.section, entry.kind, entry.key) for entry in found.entries] == [
        ("surface:home-feed", "experiments", "checkout"),
        ("surface:search", "experiments", "checkout"),
    ]
    assert found.entries[0].refs == (("audience", "gold"), ("surface", "home-feed"))
    assert found.entries[0].body == {
        "key": "checkout", "version": 1, "phase": 1, "salt": f"{experiment.salt}:1", "hash_attribute": "user",
        "hash_version": 2, "coverage": 5_000,
        "arms": [
            {"key": "control", "weight": 5_000, "ranges": [[0, 2_500]], "parameters": {}},
            {"key": "treatment", "weight": 5_000, "ranges": [[5_000, 7_500]], "parameters": {"ranker": "personal"}},
        ],
        "condition": None, "audience": "gold", "filters": [], "windows": [],
    }  # fmt: skip


@pytest.mark.usefixtures("_ground")
def test_fragment__everywhere__shared() -> None:
    started(surfaces=[])
    assert [entry.section for entry in fragment("production", NOW).entries] == ["shared"]
    assert list(fragment("staging", NOW).entries) == []


def _served() -> dict[str, Any]:
    return dict(next(iter(fragment("production", NOW).entries)).body)


@pytest.mark.usefixtures("_ground")
def test_new_phase__drawn_anew__while_a_ramp_and_an_edit_are_not() -> None:
    experiment = started(surfaces=[])
    first = arms_of(_served())
    services.save_experiment(experiment, title="Another", actor=ANALYST, at=NOW)
    services.ramp_experiment(experiment, environment="production", coverage=6_000, actor=ANALYST, at=NOW)
    ramped = arms_of(_served())
    assert {user: arm for user, arm in ramped.items() if arm} == {
        user: first[user] for user, arm in ramped.items() if arm
    }
    assert 190 < sum(arm is not None for arm in ramped.values()) < 290
    services.ramp_experiment(experiment, environment="production", coverage=10_000, actor=ANALYST, at=NOW)
    assert arms_of(_served()) == first
    services.stop_experiment(experiment, environment="production", actor=ANALYST, at=NOW)
    services.start_experiment(experiment, environment="production", actor=ANALYST, at=NOW)
    second = arms_of(_served())
    moved = sum(first[user] != second[user] for user in USERS)
    assert 140 < moved < 260


@settings(max_examples=30, deadline=None)
@given(
    cuts=st.lists(st.integers(1, 9_999), min_size=1, max_size=4, unique=True),
    coverages=st.tuples(st.integers(0, 10_000), st.integers(0, 10_000)),
    salt=st.text("abcdef0123456789", min_size=4, max_size=16),
)
def test_ramp__any_weights_and_coverages__never_moves_a_unit_between_arms(
    cuts: list[int], coverages: tuple[int, int], salt: str
) -> None:
    edges = [0, *sorted(cuts), 10_000]
    weights = [high - low for low, high in pairwise(edges)]
    small, large = (
        arms_of(body(weights=weights, coverage=coverage, salt=salt), USERS[:60])
        for coverage in sorted(coverages)
    )
    assert {user: arm for user, arm in small.items() if arm is not None} == {
        user: large[user] for user, arm in small.items() if arm is not None
    }


def test_seed__each_phase__its_own() -> None:
    assert (seed("abc", 1), seed("abc", 2)) == ("abc:1", "abc:2")
