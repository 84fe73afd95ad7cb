"""Can the result be trusted? Split, exposure and freshness, each a word and a reason; and traffic planned against served."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import NormalDist
from typing import Any, Final

from controlplane.core.pages.home import Tone
from controlplane.evidence.models import Analysis
from experiments.models import Phase
from experiments.pages import words

FRESH: Final = timedelta(hours=1)
MANY: Final = 0.01
"""Share of units seen in two arms, or exposures without a unit, above which somebody should look."""


@dataclass(frozen=True, slots=True)
class Sign:
    """One thing that may be wrong: a word, its tone, and the reason."""

    label: str
    word: str
    tone: Tone
    reason: str


def strip(result: Mapping[str, Any], analysis: Analysis, phase: Phase, *, at: datetime) -> list[Sign]:
    """Every sign, the split first."""
    return [split(result["sample_ratio"]), _exposure(result), _freshness(analysis, phase, at=at)]


def split(answer: Mapping[str, Any]) -> Sign:
    """Whether units were split as planned."""
    if "undefined" in answer:
        return Sign("Sample ratio", "undefined", "neutral", answer["detail"])
    word, tone = _SPLIT_WORDS[answer["level"]]
    counts = ", ".join(
        f"{seen:,} seen against {expected:,.0f} expected"
        for seen, expected in zip(answer["observed"], answer["expected"], strict=True)
    )
    statistic = "" if answer["statistic"] is None else f" χ² = {answer['statistic']:.2f}."
    return Sign("Sample ratio", word, tone, f"{answer['verdict']} {counts}.{statistic}")


_SPLIT_WORDS: Final[Mapping[str, tuple[str, Tone]]] = {
    "clear": ("ok", "good"),
    "look": ("not flagged, look at it", "warning"),
    "alarm": ("alarm", "bad"),
}


def _exposure(result: Mapping[str, Any]) -> Sign:
    units, twice, nameless = result["units"], result["multiple_exposure"], result["exposures_without_unit"]
    reason = (
        f"{units:,} units are compared. {twice:,} were seen in two arms and left out; "
        f"{nameless:,} exposures name no unit."
    )
    if not units:
        return Sign(
            "Exposure", "none yet", "warning", f"{reason} Check that exposures are sent with an assignment."
        )
    if (twice + nameless) / (units + twice + nameless) > MANY:
        return Sign("Exposure", "leaking", "warning", reason)
    return Sign("Exposure", "ok", "good", reason)


def _freshness(analysis: Analysis, phase: Phase, *, at: datetime) -> Sign:
    as_of = analysis.as_of
    said = f"Made of the lake as it was on {as_of:%-d %b %Y at %H:%M} UTC."
    if phase.ended_at is not None:
        if as_of >= phase.ended_at:
            return Sign("Data", "final", "good", f"{said} The phase had ended.")
        return Sign("Data", "before the end", "warning", f"{said} The phase ended later; analyse once more.")
    age = at - as_of
    if age <= FRESH:
        return Sign("Data", "fresh", "good", said)
    hours = int(age.total_seconds() // 3600)
    old = f"{hours} h old" if hours < 48 else f"{hours // 24} days old"
    return Sign("Data", old, "warning", f"{said} Analyse again to see what has come since.")


# --- traffic ---------------------------------------------------------------------------------------------------------
def traffic(result: Mapping[str, Any], titles: Mapping[str, str]) -> list[dict[str, Any]]:
    """Each arm's share, planned and served, and the range chance alone gives 95 % of the time."""
    units = result["units"]
    rows = []
    for arm in result["arms"]:
        planned = arm["planned_share"]
        low_high = None
        if planned is not None and units:
            spread = NormalDist().inv_cdf(0.975) * (planned * (1 - planned) / units) ** 0.5
            low_high = {"low": max(0.0, planned - spread), "high": min(1.0, planned + spread)}
        rows.append(
            {
                "arm": arm["arm"],
                "title": titles.get(arm["arm"], arm["arm"]),
                "units": arm["units"],
                "served": arm["share"],
                "planned": planned,
                "chance": low_high,
            }
        )
    return rows


def traffic_rows(result: Mapping[str, Any], titles: Mapping[str, str]) -> list[dict[str, str]]:
    """The same as words, for the table."""
    return [
        {
            "title": row["title"],
            "units": f"{row['units']:,}",
            "served": "–" if row["served"] is None else f"{100 * row['served']:.2f} %",
            "planned": "not planned" if row["planned"] is None else words.percent(row["planned"]),
            "chance": "–"
            if row["chance"] is None
            else f"{100 * row['chance']['low']:.2f} to {100 * row['chance']['high']:.2f} %",
        }
        for row in traffic(result, titles)
    ]


def traffic_summary(result: Mapping[str, Any], titles: Mapping[str, str]) -> str:
    """The plot in a sentence."""
    said = [
        f"{row['title']} {row['served']} of {row['planned']} planned"
        if row["planned"] != "not planned"
        else f"{row['title']} {row['served']}"
        for row in traffic_rows(result, titles)
    ]
    return f"Share of units served: {', '.join(said)}."
