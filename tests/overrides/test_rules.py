"""What an override may say: everything that is wrong is named with its remedy, and the sentence says the rule."""

from datetime import UTC, datetime
from typing import Any

import pytest

from controlplane.core.errors import InvalidInput
from overrides import rules
from tests.overrides.conftest import BOOST, pin

HIDE = {"type": "hide", "items": ["a"], "reason": "broken"}


def refusal(content: dict[str, Any]) -> dict[str, str]:
    """Field -> message of everything that is wrong; each has a remedy."""
    with pytest.raises(InvalidInput) as caught:
        rules.check(content)
    assert all(error.remedy for error in caught.value.errors), caught.value.errors
    return {error.field: error.message for error in caught.value.errors}


def test_check__boost__fills_in_every_field() -> None:
    assert rules.check(dict(BOOST)) == {
        "type": "boost",
        "surfaces": ["feed"],
        "items": [],
        "condition": {"category": "coats"},
        "position": None,
        "factor": 2,
        "when": {"condition": None, "audience": None},
        "windows": [],
        "priority": 0,
        "reason": "autumn",
        "must_match_filters": True,
        "time_zone": "UTC",
    }


@pytest.mark.parametrize("content", [dict(BOOST), pin("a", "b"), HIDE])
def test_check__its_own_answer__is_accepted_unchanged(content: dict[str, Any]) -> None:
    whole = rules.check(content)

    assert rules.check({name: value for name, value in whole.items() if value is not None}) == whole


def test_check__windows_with_offsets__are_kept_in_utc_and_sorted() -> None:
    windows = [
        ["2026-05-01T08:00:00+02:00", None],
        ["2026-03-01T08:00:00+01:00", "2026-03-02T08:00:00+01:00"],
    ]

    assert rules.check({**BOOST, "windows": windows})["windows"] == [
        ["2026-03-01T07:00:00Z", "2026-03-02T07:00:00Z"],
        ["2026-05-01T06:00:00Z", None],
    ]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({**BOOST, "type": "push"}, {"content.type": "'push' is not one of them"}),
        ({**BOOST, "factor": float("nan")}, {"content.factor": "is not a finite number"}),
        ({**BOOST, "factor": float("inf")}, {"content.factor": "is not a finite number"}),
        ({**BOOST, "factor": "2"}, {"content.factor": "is not a finite number"}),
        ({**BOOST, "factor": True}, {"content.factor": "is not a finite number"}),
        ({**BOOST, "factor": 0.5}, {"content.factor": "lies outside 1 to 100"}),
        ({**BOOST, "factor": 101}, {"content.factor": "lies outside 1 to 100"}),
        ({**BOOST, "factor": 1}, {"content.factor": "1 changes nothing"}),
        ({**BOOST, "type": "bury", "factor": 0}, {"content.factor": "lies outside 0.0001 to 1"}),
        ({**HIDE, "factor": 2}, {"content.factor": "has no meaning for a hide"}),
        ({**HIDE, "position": 2}, {"content.position": "has no meaning for a hide"}),
        ({**BOOST, "condition": None}, {"content.items": "a boost needs items or a condition"}),
        ({**BOOST, "condition": []}, {
            "content.condition": "is not a condition",
            "content.items": "a boost needs items or a condition",
        }),
        ({**HIDE, "items": ["a", "b", "a"]}, {"content.items": "names a twice"}),
        ({**HIDE, "items": "a"}, {
            "content.items": "is not a list of texts of 1 to 128 characters",
        }),
        ({**HIDE, "items": [str(n) for n in range(1_001)]}, {
            "content.items": "has 1001 entries; at most 1000 are allowed",
        }),
        (pin(), {"content.items": "a pin needs items"}),
        (pin("a", position=0), {"content.position": "is not a whole number from 1 to 1000"}),
        (pin("a", position=1.5), {"content.position": "is not a whole number from 1 to 1000"}),
        (pin("a", condition={"category": "x"}), {"content.condition": "a pin names its items"}),
        (pin("a", windows=[]), {"content.windows": "a pin needs an end"}),
        (pin("a", windows=[["2026-03-01T00:00:00Z", None]]), {"content.windows": "a pin needs an end"}),
        (pin(*map(str, range(51))), {"content.items": "has 51 entries; at most 50 are allowed"}),
        ({**BOOST, "windows": [["2026-03-02T00:00:00Z", "2026-03-01T00:00:00Z"]]}, {
            "content.windows.0": "ends before it starts",
        }),
        ({**BOOST, "windows": [["2026-03-01T00:00:00", None]]}, {
            "content.windows.0.0": "2026-03-01T00:00:00 has no time zone",
        }),
        ({**BOOST, "windows": [["friday", None]]}, {"content.windows.0.0": "'friday' is not a time"}),
        ({**BOOST, "windows": ["now"]}, {"content.windows.0": "is not [from, until]"}),
        ({**BOOST, "time_zone": "Europe/Nowhere"}, {
            "content.time_zone": "'Europe/Nowhere' is no time zone",
        }),
        ({**BOOST, "priority": 5_000}, {"content.priority": "is not a whole number from -1000 to 1000"}),
        ({**BOOST, "reason": " "}, {"content.reason": "is not text"}),
        ({**BOOST, "when": "DE"}, {"content.when": "is not an object"}),
        ({**BOOST, "when": {"who": "DE"}}, {"content.when.who": "there is no such field"}),
        ({**BOOST, "when": {"condition": "DE"}}, {"content.when.condition": "is not a condition"}),
        ({**BOOST, "factr": 3}, {"content.factr": "there is no such field"}),
        ({**BOOST, "must_match_filters": 1}, {
            "content.must_match_filters": "is not true or false",
        }),
    ],
)  # fmt: skip
def test_check__something_wrong__names_field_and_remedy(
    content: dict[str, Any], expected: dict[str, str]
) -> None:
    assert refusal(content) == expected


def test_check__factor_left_out__says_what_to_write() -> None:
    assert refusal({**BOOST, "factor": None}) == {"content.factor": "a boost needs a factor"}


def test_check__several_things_wrong__names_them_all() -> None:
    assert set(refusal({"type": "boost", "factor": 0, "priority": "high"})) == {
        "content.factor",
        "content.priority",
        "content.reason",
        "content.items",
    }


@pytest.mark.parametrize(
    ("windows", "phase"),
    [
        ([], "active"),
        ([["2026-03-02T09:00:00Z", None]], "active"),
        ([[None, "2026-03-02T09:00:00Z"]], "expired"),
        ([["2026-03-02T09:00:01Z", None]], "scheduled"),
        ([["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"], ["2026-04-01T00:00:00Z", None]], "scheduled"),
    ],
)
def test_phase__at_nine__is(windows: list[list[str | None]], phase: str) -> None:
    assert rules.phase({"windows": windows}, at=datetime(2026, 3, 2, 9, tzinfo=UTC)) == phase


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (pin("a", "b", position=3), "On feed pin a, b at position 3"),
        (pin("a", "b", "c", "d"), "On feed pin a, b, c and 1 more at position 1"),
        (dict(BOOST), "On feed boost items with category coats by 2"),
        ({**HIDE, "condition": {"price": {"$gt": 5}}}, "On every surface hide a and items that match a condition"),
        ({**BOOST, "when": {"audience": "germans"}}, "On feed for germans boost items with category coats by 2"),
        (
            {"type": "require", "condition": {"new": True}, "surfaces": ["b", "a"], "reason": "x"},
            "On a, b show only items with new true",
        ),
    ],
)  # fmt: skip
def test_sentence__rule__says_it_in_words(content: dict[str, Any], sentence: str) -> None:
    assert rules.sentence(rules.check(content)) == sentence


def test_showtime__scheduled_rule__is_its_next_start() -> None:
    at = datetime(2026, 3, 2, 9, tzinfo=UTC)
    windows = [["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"], ["2026-04-01T00:00:00Z", None]]

    assert rules.showtime({"windows": windows}, at=at) == datetime(2026, 4, 1, tzinfo=UTC)
    assert rules.showtime({"windows": windows[:1]}, at=at) == datetime(2026, 1, 1, tzinfo=UTC)
    assert rules.showtime({"windows": []}, at=at) == at
