"""What guardrails and kill switches may say. Pure: references are judged with the catalogue elsewhere."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from controlplane.core.contents import Content

ACTIONS: Final = ("block", "demote", "age_gate", "region_block", "label")
OPERATORS: Final = (">=", ">", "<=", "<", "==", "!=")
MISSING: Final = ("skip", "fail_open", "fail_closed")
STATUSES: Final = ("live", "shadow")
FIELDS: Final = (
    "action", "signal", "op", "threshold", "missing", "condition", "factor", "min_age", "regions", "surfaces", "windows",
    "status", "reason",
)  # fmt: skip
SWITCH_FIELDS: Final = ("kind", "items", "rule", "surfaces", "reason")
SWITCH_KINDS: Final = ("block_items", "disable_rule", "safe_mode")
_REGION = re.compile(r"^[A-Z]{2}(-[A-Z0-9]{1,3})?$")
_RULE = re.compile(r"^(override|experiment):[a-z0-9][a-z0-9._-]{0,63}$")


def check(content: Mapping[str, Any]) -> dict[str, Any]:
    """The content with every field in place. Raises InvalidInput naming all that is wrong."""
    given = Content(content, known=FIELDS)
    action = given.choice("action", ACTIONS)
    signal = given.given("signal")
    condition = given.condition("condition")
    if signal is None and condition is None:
        given.wrong("signal", "a guardrail needs a signal or a condition", "Say which items it is about.")
    whole: dict[str, Any] = {
        "action": action,
        "signal": None if signal is None else given.text("signal", most=64),
        "op": given.choice("op", OPERATORS, default=">="),
        "threshold": None if signal is None else given.number("threshold", least=-1e9, most=1e9),
        "missing": given.choice("missing", MISSING, default="skip"),
        "condition": condition,
        "factor": _of_action(given, "factor", action, "demote"),
        "min_age": _of_action(given, "min_age", action, "age_gate"),
        "regions": _regions(given, action),
        "surfaces": sorted(given.texts("surfaces", most=100, longest=64)),
        "windows": given.windows("windows"),
        "status": given.choice("status", STATUSES, default="live"),
        "reason": given.text("reason", most=500),
    }
    if signal is not None and given.given("threshold") is None:
        given.wrong(
            "threshold", "is required with a signal", "Write the value from which it acts, such as 0.8."
        )
    given.done("guardrail")
    return whole


def _of_action(given: Content, name: str, action: str, owner: str) -> Any:
    if action != owner:
        if given.given(name) is not None:
            given.wrong(name, f"has no meaning for {action}", "Leave it out.")
        return None
    if name == "factor":
        return given.number("factor", least=0.0001, most=0.9999, default=0.5)
    return given.whole("min_age", least=1, most=120, default=18)


def _regions(given: Content, action: str) -> list[str]:
    regions = given.texts("regions", most=250, longest=6)
    if action == "region_block" and not given.given("regions"):
        given.wrong("regions", "a region block needs regions", 'Write codes such as "DE" or "US-CA".')
    if action != "region_block" and regions:
        given.wrong("regions", f"has no meaning for {action}", "Leave it out.")
    wrong = [region for region in regions if not _REGION.fullmatch(region)]
    if wrong:
        given.wrong(
            "regions", f"{', '.join(wrong[:5])} is no region code", 'Write codes such as "DE" or "US-CA".'
        )
    return sorted(regions)


def check_switch(content: Mapping[str, Any]) -> dict[str, Any]:
    """What a kill switch shall stop. Raises InvalidInput naming all that is wrong."""
    given = Content(content, known=SWITCH_FIELDS, prefix="")
    kind = given.choice("kind", SWITCH_KINDS)
    whole: dict[str, Any] = {
        "kind": kind,
        "items": given.texts("items", most=10_000),
        "rule": given.text("rule", default="", most=160),
        "surfaces": sorted(given.texts("surfaces", most=100, longest=64)),
        "reason": given.text("reason", most=500),
    }
    if kind == "block_items" and not whole["items"]:
        given.wrong("items", "there is nothing to block", "Name the items.")
    if kind != "block_items" and whole["items"]:
        given.wrong("items", f"has no meaning for {kind}", "Leave it out.")
    if kind == "disable_rule" and not _RULE.fullmatch(whole["rule"]):
        given.wrong("rule", "is not a rule", 'Write "override:<key>" or "experiment:<key>".')
    if kind != "disable_rule" and whole["rule"]:
        given.wrong("rule", f"has no meaning for {kind}", "Leave it out.")
    given.done("kill switch")
    return whole


def is_looser(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether the change lets through what the guardrail stopped; when in doubt, it does."""
    if after["status"] == "shadow" and before["status"] == "live":
        return True
    if before["status"] == "shadow":
        return False
    if after == before:
        return False
    same = {name: before[name] for name in FIELDS if name not in {"threshold", "reason"}} == {
        name: after[name] for name in FIELDS if name not in {"threshold", "reason"}
    }
    if not same or before["threshold"] is None or after["threshold"] is None:
        return True
    if before["op"] in {"==", "!="}:
        return bool(after["threshold"] != before["threshold"])
    rising = before["op"] in {">=", ">"}
    return bool(
        after["threshold"] > before["threshold"] if rising else after["threshold"] < before["threshold"]
    )


def sentence(content: Mapping[str, Any]) -> str:
    """The rule in words."""
    where = ", ".join(content["surfaces"]) or "every surface"
    verbs = {
        "block": "block",
        "demote": f"demote by {content['factor']}",
        "age_gate": f"show only from age {content['min_age']}",
        "region_block": f"block in {', '.join(content['regions'])}",
        "label": "label",
    }
    what = (
        f"items whose {content['signal']} is {content['op']} {content['threshold']}"
        if content["signal"]
        else "items"
    )
    if content["condition"]:
        what += " that match a condition" if not content["signal"] else " and that match a condition"
    return f"On {where} {verbs[content['action']]} {what}"
