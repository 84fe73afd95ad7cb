"""What the content of an override may say. Pure: conditions and references are judged with the catalogue elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from controlplane.core.contents import Content, utc
from overrides import windows

TYPES: Final = ("pin", "boost", "bury", "hide", "require")
FIELDS: Final = (
    "type",
    "surfaces",
    "items",
    "condition",
    "position",
    "factor",
    "when",
    "windows",
    "priority",
    "reason",
    "must_match_filters",
    "time_zone",
)
MAX_ITEMS: Final = 1_000
MAX_PINS: Final = 50
MAX_POSITION: Final = 1_000
LARGEST_FACTOR: Final = 100.0


def check(content: Mapping[str, Any]) -> dict[str, Any]:
    """The content with every field in place. Raises InvalidInput naming all that is wrong."""
    given = Content(content, known=FIELDS)
    chosen = given.choice("type", TYPES)
    kind = chosen if given.given("type") in TYPES else ""
    whole: dict[str, Any] = {
        "type": kind,
        "surfaces": sorted(given.texts("surfaces", most=100, longest=64)),
        "items": given.texts("items", most=MAX_PINS if kind == "pin" else MAX_ITEMS),
        "condition": given.condition("condition"),
        "position": given.whole("position", least=1, most=MAX_POSITION, default=1) if kind == "pin" else None,
        "factor": _factor(given, kind),
        "when": _when(given),
        "windows": given.windows("windows"),
        "priority": given.whole("priority", least=-1_000, most=1_000, default=0),
        "reason": given.text("reason", most=500),
        "must_match_filters": given.flag("must_match_filters", default=True),
        "time_zone": _time_zone(given),
    }
    if not kind:
        given.done("override")  # what else it must say depends on its type
    _check_target(given, kind)
    unread = any(error.field.startswith("content.windows") for error in given.errors)
    if kind == "pin" and not unread and not _expires(whole["windows"]):
        given.wrong("windows", "a pin needs an end", "Give every window an until.")
    if kind != "pin" and given.given("position") is not None:
        given.wrong("position", f"has no meaning for a {kind}", "Leave it out.")
    given.done("override")
    return whole


def _factor(given: Content, kind: str) -> float | None:
    if kind == "boost":
        factor = given.number("factor", least=1.0, most=LARGEST_FACTOR)
    elif kind == "bury":
        factor = given.number("factor", least=0.0001, most=1.0)
    else:
        if kind and given.given("factor") is not None:
            given.wrong("factor", f"has no meaning for a {kind}", "Leave it out.")
        return None
    if factor is None and given.given("factor") is None:
        given.wrong(
            "factor",
            f"a {kind} needs a factor",
            "1.5 ranks half as high again." if kind == "boost" else "Write 0.5.",
        )
    elif factor == 1.0:
        given.wrong("factor", "1 changes nothing", "Above 1 raises, below 1 lowers.")
    return factor


def _time_zone(given: Content) -> str:
    """The zone in which people wrote the windows and read them again; serving sees UTC only."""
    name = given.text("time_zone", default="UTC", most=64)
    try:
        windows.zone(name)
    except windows.WindowError as error:
        given.wrong("time_zone", error.message, error.remedy)
    return name


def _when(given: Content) -> dict[str, Any]:
    value = given.given("when")
    if value is None:
        return {"condition": None, "audience": None}
    if not isinstance(value, Mapping):
        given.wrong("when", "is not an object", 'Write {"condition": …, "audience": …}.')
        return {"condition": None, "audience": None}
    inner = Content(value, known=("condition", "audience"), prefix="content.when.")
    named = value.get("audience") is not None
    found = {
        "condition": inner.condition("condition"),
        "audience": (inner.text("audience", default="", most=64) or None) if named else None,
    }
    given.errors += inner.errors
    return found


def _check_target(given: Content, kind: str) -> None:
    items, condition = given.given("items"), given.given("condition")
    if kind == "pin":
        if condition:
            given.wrong("condition", "a pin names its items", "Use items, or boost instead.")
        if not items:
            given.wrong("items", "a pin needs items", "Name the items in the order they shall stand.")
    elif not items and not condition:
        given.wrong("items", f"a {kind} needs items or a condition", "Say which items it is about.")


def _expires(windows: list[list[str | None]]) -> bool:
    return bool(windows) and all(until is not None for _, until in windows)


def is_temporary(content: Mapping[str, Any]) -> bool:
    """Whether the rule ends by itself, which wins ties against one that does not."""
    return _expires(content["windows"])


def body(key: str, version: int, content: Mapping[str, Any], *, saved_at: datetime) -> dict[str, Any]:
    """The rule as rulesets carry it (docs/contract.md, section 4)."""
    return {
        "key": key,
        "version": version,
        **{
            name: content[name]
            for name in ("type", "items", "condition", "when", "windows", "priority", "must_match_filters")
        },
        **{name: content[name] for name in ("position", "factor") if content[name] is not None},
        "temporary": is_temporary(content),
        "updated_at": utc(saved_at),
    }


def phase(content: Mapping[str, Any], *, at: datetime) -> str:
    """`active`, `scheduled` or `expired` at the moment, by the windows alone."""
    windows = [(_instant(start), _instant(end)) for start, end in content["windows"]]
    if not windows or any(
        (start is None or start <= at) and (end is None or at < end) for start, end in windows
    ):
        return "active"
    return "scheduled" if any(start is not None and start > at for start, _ in windows) else "expired"


def showtime(content: Mapping[str, Any], *, at: datetime) -> datetime:
    """The moment at which to look at the rule: `at` when it stands then, else the next time it does, else its last."""
    if phase(content, at=at) == "active":
        return at
    starts = [start for start, _ in content["windows"] if start is not None]
    coming = sorted(datetime.fromisoformat(start) for start in starts if datetime.fromisoformat(start) > at)
    if coming:
        return coming[0]
    return max((datetime.fromisoformat(start) for start in starts), default=at)


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def ends_at(content: Mapping[str, Any]) -> datetime | None:
    """When the last window closes; None for a rule without end."""
    if not _expires(content["windows"]):
        return None
    return max(datetime.fromisoformat(until) for _, until in content["windows"])


def sentence(content: Mapping[str, Any]) -> str:
    """The rule in words: "On home-feed pin a, b at 1 until …"."""
    where = ", ".join(content["surfaces"]) or "every surface"
    what = _what(content)
    verbs = {
        "pin": f"pin {what} at position {content['position']}",
        "boost": f"boost {what} by {content['factor']}",
        "bury": f"bury {what} by {content['factor']}",
        "hide": f"hide {what}",
        "require": f"show only {what}",
    }
    who = " for " + content["when"]["audience"] if content["when"]["audience"] else ""
    who += " under a condition" if content["when"]["condition"] else ""
    return f"On {where}{who} {verbs[content['type']]}"


def _what(content: Mapping[str, Any]) -> str:
    items, condition = content["items"], content["condition"]
    named = ", ".join(items[:3]) + (f" and {len(items) - 3} more" if len(items) > 3 else "")
    matching = _matching(condition) if condition else ""
    return " and ".join(part for part in (named, matching) if part)


def _matching(condition: Mapping[str, Any]) -> str:
    """Plain equalities in words; anything else is looked up on the rule's own page."""
    if all(isinstance(value, str | int | float) for value in condition.values()):
        return "items with " + " and ".join(f"{name} {_word(value)}" for name, value in condition.items())
    return "items that match a condition"


def _word(value: object) -> str:
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)
