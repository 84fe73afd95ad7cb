"""What the content of an experiment may say."""

from typing import Any

import pytest

from controlplane.core.errors import InvalidInput
from experiments.rules import biasing_changes, check
from tests.experiments.making import content


def arms(*weights: int, **changes: Any) -> list[dict[str, Any]]:
    return [{"key": f"arm-{n}", "weight": weight, **changes} for n, weight in enumerate(weights)]


def test_check__the_least__is_filled_in() -> None:
    whole = check({"arms": arms(5000, 5000), "primary_metric": "purchase"})
    assert whole == {
        "hypothesis": "",
        "surfaces": [],
        "hash_attribute": "user",
        "arms": [
            {"key": "arm-0", "title": "arm-0", "weight": 5000, "parameters": {}},
            {"key": "arm-1", "title": "arm-1", "weight": 5000, "parameters": {}},
        ],
        "coverage": 10_000,
        "condition": None,
        "audience": None,
        "primary_metric": "purchase",
        "metrics": ["purchase"],
        "guardrail_metrics": [],
        "planned_end": None,
        "planned_units": 10_000,
        "exposure_types": ["exposure"],
        "stratify_by": None,
    }


def test_check__what_it_made__is_unchanged_by_checking_again() -> None:
    whole = check(content(guardrail_metrics=["returns"], planned_end="2026-04-01T10:00:00+02:00"))
    assert whole["metrics"] == ["purchase", "revenue", "returns"]
    assert whole["planned_end"] == "2026-04-01T08:00:00Z"
    assert check(whole) == whole


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"colour": 1}, "content.colour", "there is no such field"),
        ({"hypothesis": "x" * 2001}, "content.hypothesis", "longer than 2000"),
        ({"surfaces": "home"}, "content.surfaces", "not a list of texts"),
        ({"surfaces": ["home", "home"]}, "content.surfaces", "names home twice"),
        ({"hash_attribute": "device"}, "content.hash_attribute", "'device' is not one of them"),
        ({"coverage": 10_001}, "content.coverage", "is not a whole number from 0 to 10000"),
        ({"coverage": "half"}, "content.coverage", "is not a whole number"),
        ({"condition": ["x"]}, "content.condition", "is not a condition"),
        ({"primary_metric": ""}, "content.primary_metric", "is required"),
        ({"planned_end": "tomorrow"}, "content.planned_end", "is not a time"),
        ({"planned_end": "2026-04-01T10:00:00"}, "content.planned_end", "has no time zone"),
        ({"planned_units": 1}, "content.planned_units", "is not a whole number from 2"),
        ({"exposure_types": ["click"]}, "content.exposure_types", "click is no exposure"),
        ({"stratify_by": "country"}, "content.stratify_by", "is not one of them"),
        ({"arms": None}, "content.arms", "there must be 2 to 10 arms"),
        ({"arms": arms(10_000)}, "content.arms", "there must be 2 to 10 arms"),
        ({"arms": arms(5000, 4999)}, "content.arms", "the weights sum to 9999"),
        ({"arms": arms(5000, 5000, key="same")}, "content.arms", "two arms are called same"),
        ({"arms": [*arms(5000), "b"]}, "content.arms.1", "is not an object"),
        ({"arms": arms(5000, 5000, colour=1)}, "content.arms.0.colour", "there is no such field"),
        ({"arms": arms(5000, 5000, key="No Key")}, "content.arms.0.key", "cannot be a key"),
        ({"arms": [{"key": "a"}, {"key": "b", "weight": 1}]}, "content.arms.0.weight", "is required"),
        ({"arms": arms(5000, 5000, parameters=[])}, "content.arms.0.parameters", "is not an object"),
        ({"arms": arms(5000, 5000, title="x" * 161)}, "content.arms.0.title", "longer than 160"),
    ],
)
def test_check__bad_input__names_the_field_and_a_remedy(
    changes: dict[str, Any], field: str, words: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        check(content(**changes))
    first = refused.value.errors[0]
    assert first.field == field
    assert words in first.message
    assert first.remedy


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({}, []),
        ({"hypothesis": "Less will.", "coverage": 10, "metrics": ["returns"]}, []),
        ({"surfaces": []}, ["surfaces"]),
        ({"audience": "gold"}, ["audience"]),
        ({"condition": {"country": "DE"}}, ["condition"]),
        ({"hash_attribute": "session"}, ["hash_attribute"]),
        ({"exposure_types": ["decision"]}, ["exposure_types"]),
        ({"arms": arms(5000, 5000)}, ["arms"]),
    ],
)
def test_biasing_changes__each_field__named_when_it_moves_units(
    changes: dict[str, Any], named: list[str]
) -> None:
    assert biasing_changes(check(content()), check(content(**changes))) == named


def test_biasing_changes__an_arm_called_otherwise__moves_nobody() -> None:
    renamed = check(content())
    renamed["arms"][0]["title"] = "As before"
    assert biasing_changes(check(content()), renamed) == []
