"""The loop finds the effect it was given, raises the alarm it should, and other code agrees with every number."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from controlplane.demo import verify
from controlplane.demo.slates import LIVE
from controlplane.demo.steering import Steering
from controlplane.demo.summary import page, write_summary
from tests.demo.loop import Looped, run_loop

SHOPPERS = 8_000

pytestmark = pytest.mark.slow


def recomputed(run: Looped) -> list[verify.Check]:
    """Every check of a run against its lake."""
    return verify.checks(run.summary, verify.open_lake(run.summary, run.lake_url))


@pytest.fixture(scope="module")
def default_run(tmp_path_factory: pytest.TempPathFactory) -> Looped:
    """The run that `make demo` does."""
    return run_loop(Steering(shoppers=SHOPPERS), tmp_path_factory.mktemp("default"))


@pytest.fixture(scope="module")
def broken_split(tmp_path_factory: pytest.TempPathFactory) -> Looped:
    """SPLIT=60/40 against a planned 50/50."""
    return run_loop(Steering(shoppers=2_000, split=(60.0, 40.0)), tmp_path_factory.mktemp("split"))


def test_default_run__finds_the_effect_and_ships(default_run: Looped) -> None:
    experiment = default_run.summary["experiment"]
    cart = experiment["metrics"]["add_to_cart"]
    assert experiment["verdict"]["word"] == "ship"
    assert cart["relative"]["estimate"] == pytest.approx(0.10, abs=0.01)
    assert cart["relative"]["interval"]["low"] < 0.10 < cart["relative"]["interval"]["high"]
    assert experiment["sample_ratio"]["level"] == "clear"
    assert sum(experiment["arms"].values()) == SHOPPERS


def test_default_run__rules_change_slates(default_run: Looped) -> None:
    slates = default_run.summary["slates"]
    boost, pin, guardrail, switch = (slates[name] for name in ("boost", "pin", "guardrail", "kill_switch"))
    assert boost["before"]["share_with_item"] < 0.5 < boost["after"]["share_with_item"]
    assert pin["before"]["share_with_item"] < 0.1
    assert pin["after"]["share_with_item"] == 1.0
    assert pin["after"]["mean_position"] == 3.0
    assert guardrail["before"]["share_with_item"] > 0.2
    assert guardrail["after"]["share_with_item"] == 0.0
    assert guardrail["removed"] > 0
    assert switch["before"]["share_with_item"] > 0.3
    assert switch["after"]["share_with_item"] == 0.0
    assert switch["removed"] > 0


def test_default_run__other_code_agrees_with_every_number(default_run: Looped) -> None:
    found = recomputed(default_run)
    assert [check for check in found if not check.agrees] == []
    assert len(found) >= 50


def test_default_run__events_are_counted_once(default_run: Looped) -> None:
    events = default_run.summary["events"]
    assert events["duplicate"] == events["sent_twice"] == 100
    assert events["accepted"] == events["tracked"] == sum(events["by_type"].values())
    assert events["quarantined"] == 0


def test_default_run__page_says_what_was_found(default_run: Looped) -> None:
    text = "\n".join(page(default_run.summary))
    assert "VERDICT        SHIP" in text
    assert "lift +10." in text or "lift +9.9" in text
    assert "synthetic" in text


def _numbers(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(value, dict):
        return [found for key, inner in value.items() for found in _numbers(inner, (*path, key))]
    if isinstance(value, list):
        return [found for index, inner in enumerate(value) for found in _numbers(inner, (*path, index))]
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return [path] if number else []


# What the lake cannot know: how the rules were set up, and the level and horizon at which it was asked.
GIVEN = {"factor", "position", "threshold", "alpha", "horizon", "rules"}


def test_verify__any_number_changed__is_noticed(default_run: Looped) -> None:
    paths = [path for path in _numbers(default_run.summary) if not GIVEN & set(path)]
    assert len(paths) > 80
    unnoticed = []
    lake = verify.open_lake(default_run.summary, default_run.lake_url)
    for path in paths:
        changed = copy.deepcopy(default_run.summary)
        place = changed
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] += 1
        if all(check.agrees for check in verify.checks(changed, lake)):
            unnoticed.append(path)
    assert unnoticed == []


def test_demo_verify__changed_file__exits_1(default_run: Looped, tmp_path: Path) -> None:
    path = tmp_path / "summary.json"
    write_summary(default_run.summary, path)
    said: list[str] = []
    given = ["--summary", str(path), "--lake", default_run.lake_url]
    assert verify.main(given, say=said.append) == 0
    assert said[-1].endswith("all agree with the lake's files")
    changed = json.loads(path.read_text())
    changed["experiment"]["metrics"]["add_to_cart"]["difference"] *= 1.0001
    write_summary(changed, path)
    assert verify.main(given, say=said.append) == 1
    assert any(line.startswith("DIFFERS add_to_cart.difference") for line in said)


def test_demo_verify__no_summary__says_what_to_do(tmp_path: Path) -> None:
    said: list[str] = []
    assert verify.main(["--summary", str(tmp_path / "none.json")], say=said.append) == 2
    assert "make demo ONCE=1" in said[0]


@pytest.mark.parametrize(("effect", "seed"), [(0.0, 1), (0.0, 20261123), (-0.05, 1)])
def test_no_gain__never_ships(effect: float, seed: int, tmp_path: Path) -> None:
    looped = run_loop(Steering(seed=seed, effect=effect, shoppers=2_000), tmp_path)
    assert looped.summary["experiment"]["verdict"]["word"] != "ship"
    found = recomputed(looped)
    assert [check for check in found if not check.agrees] == []


def test_split_60_40__raises_the_alarm_and_refuses(broken_split: Looped) -> None:
    experiment = broken_split.summary["experiment"]
    assert experiment["sample_ratio"]["level"] == "alarm"
    assert experiment["verdict"]["word"] == "hold"
    arms = experiment["arms"]
    assert arms["control"] / sum(arms.values()) == pytest.approx(0.6, abs=0.02)
    assert broken_split.summary["events"]["lost_by_the_host"] > 0


def test_split_60_40__other_code_agrees(broken_split: Looped) -> None:
    found = recomputed(broken_split)
    assert [check for check in found if not check.agrees] == []


def test_stage_names__are_those_the_verification_reads() -> None:
    assert verify.STAGES["boost"][1] == LIVE
