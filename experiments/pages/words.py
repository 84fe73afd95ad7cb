"""Numbers as people read them: percent for shares, percentage points for their differences, units on amounts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

WHOLE = 10_000


def number(value: float, *, signed: bool = False) -> str:
    """Three significant digits or so, thousands apart, a real minus sign.

    >>> number(1234567), number(0.01234), number(-2.5, signed=True)
    ('1,234,567', '0.0123', '−2.5')
    """
    size = abs(value)
    if size >= 100 or value == int(value):
        text = f"{size:,.0f}"
    elif size >= 10:
        text = f"{size:.1f}"
    elif size >= 1:
        text = f"{size:.2f}".rstrip("0").rstrip(".")
    else:
        text = f"{size:.3g}"
    sign = "−" if value < 0 and text != "0" else "+" if signed and value > 0 else ""
    return f"{sign}{text}"


def percent(fraction: float, *, signed: bool = False) -> str:
    """A share or relative effect.

    >>> percent(0.0213, signed=True), percent(0.5)
    ('+2.13 %', '50 %')
    """
    return f"{number(100 * fraction, signed=signed)} %"


def share(weight: int) -> str:
    """A weight or coverage in 1/10,000.

    >>> share(5000), share(3333)
    ('50 %', '33.33 %')
    """
    return f"{100 * weight / WHOLE:g} %"


def level(metric: Mapping[str, Any], value: float | None) -> str:
    """A metric's value in an arm: a share in percent, an amount with its unit; a dash for none."""
    if value is None:
        return "–"
    return percent(value) if metric["kind"] == "proportion" else _with_unit(number(value), metric)


def difference(metric: Mapping[str, Any], value: float) -> str:
    """A difference between arms: percentage points for shares, else in the metric's unit."""
    if metric["kind"] == "proportion":
        return f"{number(100 * value, signed=True)} pp"
    return _with_unit(number(value, signed=True), metric)


def difference_range(metric: Mapping[str, Any], interval: Mapping[str, float]) -> str:
    """An interval of differences."""
    return f"{difference(metric, interval['low'])} to {difference(metric, interval['high'])}"


def percent_range(interval: Mapping[str, float]) -> str:
    """An interval of relative effects."""
    return f"{percent(interval['low'], signed=True)} to {percent(interval['high'], signed=True)}"


def p_value(value: float) -> str:
    """A p-value without false precision."""
    return "< 0.0001" if value < 0.0001 else f"{value:.2g}"


def _with_unit(text: str, metric: Mapping[str, Any]) -> str:
    return f"{text} {metric['unit']}" if metric.get("unit") else text


def traffic(content: Mapping[str, Any]) -> str:
    """Whom a design enrols: `50 % of users on home-feed`."""
    where = f"on {', '.join(content['surfaces'])}" if content["surfaces"] else "on every surface"
    units = {"user": "users", "anonymous": "anonymous visitors", "session": "sessions", "request": "requests"}
    who = f" of the audience {content['audience']}" if content["audience"] else ""
    narrowed = " that match its condition" if content["condition"] else ""
    return f"{share(content['coverage'])} of {units[content['hash_attribute']]}{who}{narrowed} {where}"


def arm_shares(content: Mapping[str, Any]) -> str:
    """What part of all traffic sees which arm: `25 % see Control, 25 % see Treatment`."""
    coverage = content["coverage"]
    return ", ".join(
        f"{arm['weight'] * coverage / WHOLE / 100:.4g} % see {arm['title']}" for arm in content["arms"]
    )


def titles(content: Mapping[str, Any]) -> dict[str, str]:
    """Title of each arm by key."""
    return {arm["key"]: arm["title"] for arm in content["arms"]}
