"""What guardrails and switches may say, and which change of a guardrail loosens it."""

from typing import Any

import pytest

from controlplane.core.errors import InvalidInput
from governance.guardrails import rules
from tests.guardrails.conftest import BLOCK

REGIONS = {"action": "region_block", "condition": {"category": "x"}, "regions": ["DE"], "reason": "law"}


def refusal(content: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(InvalidInput) as caught:
        rules.check(content)
    assert all(error.remedy for error in caught.value.errors), caught.value.errors
    return {error.field: error.message for error in caught.value.errors}


def test_check__block__fills_in_every_field() -> None:
    assert rules.check(dict(BLOCK)) == {
        "action": "block",
        "signal": "toxicity",
        "op": ">=",
        "threshold": 0.8,
        "missing": "skip",
        "condition": None,
        "factor": None,
        "min_age": None,
        "regions": [],
        "surfaces": [],
        "windows": [],
        "status": "live",
        "reason": "policy 4",
    }


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({**BLOCK, "action": "delete"}, {"content.action": "'delete' is not one of them"}),
        ({**BLOCK, "signal": None}, {"content.signal": "a guardrail needs a signal or a condition"}),
        ({**BLOCK, "signal": 4}, {"content.signal": "is not text"}),
        ({**BLOCK, "threshold": None}, {"content.threshold": "is required with a signal"}),
        ({**BLOCK, "threshold": float("nan")}, {"content.threshold": "is not a finite number"}),
        ({**BLOCK, "threshold": "high"}, {"content.threshold": "is not a finite number"}),
        ({**BLOCK, "op": "~"}, {"content.op": "'~' is not one of them"}),
        ({**BLOCK, "missing": "maybe"}, {"content.missing": "'maybe' is not one of them"}),
        ({**BLOCK, "factor": 0.5}, {"content.factor": "has no meaning for block"}),
        ({**BLOCK, "min_age": 18}, {"content.min_age": "has no meaning for block"}),
        ({**BLOCK, "regions": ["DE"]}, {"content.regions": "has no meaning for block"}),
        ({**BLOCK, "action": "demote", "factor": 2}, {"content.factor": "lies outside 0.0001 to 0.9999"}),
        ({**BLOCK, "action": "age_gate", "min_age": 0}, {
            "content.min_age": "is not a whole number from 1 to 120",
        }),
        ({**REGIONS, "regions": []}, {"content.regions": "a region block needs regions"}),
        ({**REGIONS, "regions": ["germany"]}, {
            "content.regions": "is not a list of texts of 1 to 6 characters",
        }),
        ({**REGIONS, "regions": ["de"]}, {"content.regions": "de is no region code"}),
        ({**REGIONS, "regions": ["DE", "DE"]}, {"content.regions": "names DE twice"}),
        ({**BLOCK, "windows": [["2026-03-02T00:00:00Z", "2026-03-01T00:00:00Z"]]}, {
            "content.windows.0": "ends before it starts",
        }),
        ({**BLOCK, "status": "off"}, {"content.status": "'off' is not one of them"}),
        ({**BLOCK, "reason": ""}, {"content.reason": "is required"}),
        ({**BLOCK, "limit": 1}, {"content.limit": "there is no such field"}),
    ],
)  # fmt: skip
def test_check__something_wrong__names_field_and_remedy(
    content: dict[str, Any], expected: dict[str, str]
) -> None:
    assert refusal(content) == expected


@pytest.mark.parametrize(
    ("content", "field", "message"),
    [
        ({"kind": "stop"}, "kind", "'stop' is not one of them"),
        ({"kind": "block_items"}, "items", "there is nothing to block"),
        ({"kind": "block_items", "items": ["a", "a"]}, "items", "names a twice"),
        ({"kind": "safe_mode", "items": ["a"]}, "items", "has no meaning for safe_mode"),
        ({"kind": "disable_rule"}, "rule", "is not a rule"),
        ({"kind": "disable_rule", "rule": "guardrail:x"}, "rule", "is not a rule"),
        ({"kind": "safe_mode", "rule": "override:x"}, "rule", "has no meaning for safe_mode"),
        ({"kind": "safe_mode", "reason": ""}, "reason", "is required"),
    ],
)
def test_check_switch__something_wrong__names_field_and_remedy(
    content: dict[str, Any], field: str, message: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        rules.check_switch({"reason": "recall", **content})

    found = {error.field: error.message for error in caught.value.errors}
    assert found[field] == message
    assert all(error.remedy for error in caught.value.errors)


def whole(**fields: Any) -> dict[str, Any]:
    return rules.check({**BLOCK, **fields})


@pytest.mark.parametrize(
    ("before", "after", "looser"),
    [
        (whole(), whole(), False),
        (whole(), whole(reason="another"), False),
        (whole(), whole(threshold=0.7), False),
        (whole(), whole(threshold=0.9), True),
        (whole(op="<=", threshold=0.2), whole(op="<=", threshold=0.3), False),
        (whole(op="<=", threshold=0.2), whole(op="<=", threshold=0.1), True),
        (whole(op="==", threshold=0.2), whole(op="==", threshold=0.3), True),
        (whole(op="!=", threshold=0.2), whole(op="!=", threshold=0.3), True),
        (whole(), whole(status="shadow"), True),
        (whole(status="shadow"), whole(status="live", threshold=0.99), False),
        (whole(status="shadow"), whole(status="shadow", threshold=0.99), False),
        (whole(), whole(action="demote"), True),
        (whole(), whole(surfaces=["feed"]), True),
        (whole(), whole(op=">"), True),
        (whole(missing="fail_closed"), whole(missing="skip"), True),
        (whole(), whole(condition={"category": "x"}), True),
        (whole(), whole(windows=[[None, "2026-03-01T00:00:00Z"]]), True),
        (whole(), whole(signal="violence"), True),
    ],
)
def test_is_looser__change__is_or_is_not(before: dict[str, Any], after: dict[str, Any], looser: bool) -> None:
    assert rules.is_looser(before, after) is looser


def test_sentence__guardrail__says_it_in_words() -> None:
    assert rules.sentence(whole()) == "On every surface block items whose toxicity is >= 0.8"
    assert rules.sentence(rules.check(REGIONS)) == (
        "On every surface block in DE items that match a condition"
    )
