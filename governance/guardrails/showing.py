"""Guardrails in words and pictures for pages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from controlplane.engine.guardrails import COMPARE
from governance.guardrails.selectors import Reach

WIDTH: Final = 400
HEIGHT: Final = 96
VERBS: Final[Mapping[str, str]] = {
    "block": "blocks",
    "demote": "demotes",
    "age_gate": "keeps from the young",
    "region_block": "blocks in its regions",
    "label": "labels",
}


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of the track: `draft`, `shadow` or `live`."""

    name: str
    says: str
    reached: bool
    here: bool


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of the histogram in SVG units, and the same in words."""

    x: float
    y: float
    width: float
    height: float
    trips: bool
    low: str
    high: str
    count: int


def track(status: str) -> tuple[Stage, ...]:
    """The stages of a guardrail with the one it is at."""
    stages = (
        ("draft", "saved, not served"),
        ("shadow", "watches, stops nothing"),
        ("live", "stops what it trips on"),
    )
    at = [name for name, _ in stages].index(status)
    return tuple(Stage(name, says, n <= at, n == at) for n, (name, says) in enumerate(stages))


def reach_words(content: Mapping[str, Any], reach: Reach) -> str:
    """What it stops now: "It blocks 37 of 9,125 items (0.4 %)"."""
    verb = VERBS[content["action"]]
    would = f"would {_plain(verb)}" if content["status"] == "shadow" else verb
    text = f"It {would} {reach.tripped:,} of {count(reach.total, 'item')} ({reach.share * 100:.1f} %) now."
    if reach.unknown:
        treated = "stopped too" if content["missing"] == "fail_closed" else "let through"
        text += f" {count(reach.unknown, 'item')} without {content['signal']}: {treated}."
    return text


def _plain(verb: str) -> str:
    first, _, rest = verb.partition(" ")
    return f"{first.removesuffix('s')} {rest}".strip()


def count(number: int, noun: str) -> str:
    """A number with its noun: "1 item", "9,125 items"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def bars(content: Mapping[str, Any], reach: Reach) -> tuple[Bar, ...]:
    """The histogram, bars that lie wholly or partly beyond the threshold marked."""
    most = max((one.count for one in reach.bins), default=0)
    step = WIDTH / max(1, len(reach.bins))
    return tuple(
        Bar(
            x=round(n * step + 1, 1),
            y=round(HEIGHT - HEIGHT * one.count / most, 1),
            width=round(step - 2, 1),
            height=round(HEIGHT * one.count / most, 1),
            trips=_trips(content, one.low, one.high),
            low=f"{one.low:.3g}",
            high=f"{one.high:.3g}",
            count=one.count,
        )
        for n, one in enumerate(reach.bins)
        if most
    )


def _trips(content: Mapping[str, Any], low: float, high: float) -> bool:
    threshold = content["threshold"]
    if threshold is None:
        return False
    compare = COMPARE[content["op"]]
    return compare((low + high) / 2, threshold) or (content["op"] == "==" and low <= threshold < high)


def threshold_line(content: Mapping[str, Any], reach: Reach) -> float | None:
    """Where the threshold stands on the histogram, in SVG units; None when it lies outside."""
    if not reach.bins or content["threshold"] is None:
        return None
    low, high = reach.bins[0].low, reach.bins[-1].high
    place = (content["threshold"] - low) / ((high - low) or 1)
    return round(place * WIDTH, 1) if 0 <= place <= 1 else None
