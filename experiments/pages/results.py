"""What the result part of an experiment's page says: verdict, health, effects, their tables, and how it was computed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from controlplane.core.pages.home import Tone
from controlplane.evidence.models import Analysis
from experiments.models import Experiment, Phase
from experiments.pages import health, reading, words

TONES: Final[Mapping[str, Tone]] = {
    "ship": "good", "stop": "bad", "hold": "warning", "keep running": "neutral",
}  # fmt: skip
EFFECT_TONES: Final[Mapping[str, Tone]] = {"better": "good", "worse": "bad", "unclear": "neutral"}
DEFAULT_READING: Final = "always_valid"
READINGS: Final = {
    "always_valid": "Reads valid at any time.",
    "fixed_horizon": "Read once, at the planned end.",
}


@dataclass(frozen=True, slots=True)
class VerdictLine:
    """The word, the sentence, and the reasons under it."""

    arm: str
    word: str
    tone: Tone
    sentence: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Effect:
    """A row of the table under the forest plot. `missing` says why there are no numbers."""

    metric: str
    role: str
    arm: str
    stratum: str = ""
    word: str = ""
    tone: Tone = "neutral"
    n_control: str = ""
    n_treatment: str = ""
    control: str = ""
    treatment: str = ""
    relative: str = ""
    relative_range: str = ""
    absolute: str = ""
    absolute_range: str = ""
    always_valid: str = ""
    p_value: str = ""
    missing: str = ""


def context(
    experiment: Experiment, analysis: Analysis, phase: Phase, content: Mapping[str, Any], *, at: datetime
) -> dict[str, Any]:
    """Everything the template shows of one stored result."""
    result = analysis.result
    titles = words.titles(phase.version.content)
    read_as = _reading(result)
    effects = list(_effects(result, titles, read_as))
    return {
        "analysis": analysis,
        "verdicts": [verdict_line(result, one, titles) for one in result["verdicts"]],
        "enough": _enough_data(result, phase, content),
        "note": experiment.unit_note,
        "health": health.strip(result, analysis, phase, at=at),
        "effects": [row for row in effects if not row.stratum],
        "strata": [row for row in effects if row.stratum],
        "effects_summary": _effects_summary([row for row in effects if not row.stratum]),
        "over_time": _over_time(result, titles),
        "over_time_summary": _over_time_summary(result, titles),
        "traffic": health.traffic_rows(result, titles),
        "traffic_summary": health.traffic_summary(result, titles),
        "how": _how(result, analysis),
        "charts": _chart_data(result, titles, read_as),
    }


def _reading(result: Mapping[str, Any]) -> str:
    return str(result["verdicts"][0]["reading"]) if result["verdicts"] else DEFAULT_READING


def _name(metric: Mapping[str, Any]) -> str:
    return str(metric["title"] or metric["key"])


def _measured(result: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    return next(one for one in result["metrics"] if one["metric"]["key"] == key)


def _comparison(result: Mapping[str, Any], key: str, arm: str) -> Mapping[str, Any]:
    return next(one for one in _measured(result, key)["comparisons"] if one["arm"] == arm)


def _ordered(result: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Metrics with their role: the primary first, then guardrails, then the rest."""
    plan = result["request"]["plan"]
    roles = dict.fromkeys(plan["guardrails"], "guardrail") | {plan["primary"]: "primary"}
    ranks = {"primary": 0, "guardrail": 1, "watched": 2}
    named = [(roles.get(one["metric"]["key"], "watched"), one) for one in result["metrics"]]
    return sorted(named, key=lambda pair: ranks[pair[0]])


# --- the verdict -----------------------------------------------------------------------------------------------------
def verdict_line(
    result: Mapping[str, Any], verdict: Mapping[str, Any], titles: Mapping[str, str]
) -> VerdictLine:
    """One arm's verdict in words; what every page says about it."""
    arm = titles.get(verdict["arm"], verdict["arm"])
    alarm = result["sample_ratio"].get("level") == "alarm"
    sentences = (
        ["The arms' sizes do not fit the plan: do not read these results before the cause is found."]
        if alarm
        else [
            *_primary_sentences(result, verdict, arm=arm, titles=titles),
            *_guardrail_sentences(result, verdict),
        ]
    )
    word = verdict["word"]
    return VerdictLine(arm, word.capitalize(), TONES[word], " ".join(sentences), tuple(verdict["reasons"]))


def _primary_sentences(
    result: Mapping[str, Any], verdict: Mapping[str, Any], *, arm: str, titles: Mapping[str, str]
) -> list[str]:
    plan = result["request"]["plan"]
    measured = _measured(result, plan["primary"])
    metric, answer = measured["metric"], _comparison(result, plan["primary"], verdict["arm"])
    name, control = _name(metric), titles.get(plan["control"], plan["control"])
    if "undefined" in answer:
        return [f"{arm}: no answer on “{name}” yet. {answer['detail']}"]
    read = READINGS[verdict["reading"]]
    # Where several arms share the level, the rule's own sentence has the numbers at each one's part of it.
    if verdict["alpha"] != answer["alpha"]:
        return [f"{arm}: {verdict['reasons'][0]}"]
    interval = answer if verdict["reading"] == "fixed_horizon" else answer["always_valid"]
    if "undefined" in interval:
        return [f"“{name}” cannot be read yet: {interval['detail']}"]
    numbers = _change(metric, answer, interval)
    if reading.effect(metric, answer, reading=verdict["reading"]) == "unclear":
        return [f"{arm} does not differ clearly from {control} on “{name}”: {numbers}.", read]
    verb = "raises" if answer["difference"] > 0 else "lowers"
    return [f"{arm} {verb} “{name}” by {numbers.lstrip('+−')}.", read]


def _change(metric: Mapping[str, Any], answer: Mapping[str, Any], interval: Mapping[str, Any]) -> str:
    """The relative effect with its interval where there is one, else the absolute."""
    relative = interval["relative"]
    if "undefined" in relative:
        low_high = words.difference_range(metric, interval["interval"])
        return f"{words.difference(metric, answer['difference'])} ({low_high})"
    return f"{words.percent(relative['estimate'], signed=True)} ({words.percent_range(relative['interval'])})"


def _guardrail_sentences(result: Mapping[str, Any], verdict: Mapping[str, Any]) -> list[str]:
    keys = result["request"]["plan"]["guardrails"]
    if not keys:
        return ["No guardrail metric is watched."]
    states: dict[str, list[str]] = {"worse": [], "unread": []}
    for key in keys:
        metric, answer = _measured(result, key)["metric"], _comparison(result, key, verdict["arm"])
        if "undefined" in answer:
            states["unread"].append(_name(metric))
        elif reading.effect(metric, answer, reading=verdict["reading"]) == "worse":
            states["worse"].append(_name(metric))
    said = [f"Guardrail breached: {', '.join(states['worse'])}."] if states["worse"] else []
    said += [f"Guardrail without an answer: {', '.join(states['unread'])}."] if states["unread"] else []
    return said or ["Guardrails hold."]


def _enough_data(result: Mapping[str, Any], phase: Phase, content: Mapping[str, Any]) -> str:
    """When the planned number of units is reached at the present pace; nothing after an alarm or the end."""
    planned, units = content["planned_units"], result["units"]
    if phase.ended_at is not None or result["sample_ratio"].get("level") == "alarm":
        return ""
    if units >= planned:
        return f"The planned {planned:,} units are reached."
    until = datetime.fromisoformat(result["request"]["population"]["until"])
    passed = until - phase.started_at
    if not units or passed.total_seconds() <= 0:
        return f"{planned:,} units are planned."
    reached = phase.started_at + passed * (planned / units)
    return f"At this pace the planned {planned:,} units are reached on {reached:%-d %B %Y}."


# --- effects ---------------------------------------------------------------------------------------------------------
def _effects(result: Mapping[str, Any], titles: Mapping[str, str], read_as: str) -> Iterator[Effect]:
    for role, measured in _ordered(result):
        for answer in measured["comparisons"]:
            arm = titles.get(answer["arm"], answer["arm"])
            yield _effect(measured["metric"], answer, role=role, arm=arm, read_as=read_as)
            for inner in answer["by_stratum"]:
                yield _effect(
                    measured["metric"], inner, role=role, arm=arm, read_as=read_as, stratum=inner["stratum"]
                )


def _effect(
    metric: Mapping[str, Any],
    answer: Mapping[str, Any],
    *,
    role: str,
    arm: str,
    read_as: str,
    stratum: str = "",
) -> Effect:
    if "undefined" in answer:
        return Effect(_name(metric), role, arm, stratum, missing=answer["detail"])
    relative, anytime = answer["relative"], answer["always_valid"]
    word = reading.effect(metric, answer, reading=read_as)
    return Effect(
        metric=_name(metric),
        role=role,
        arm=arm,
        stratum=stratum,
        word=word,
        tone=EFFECT_TONES[word],
        n_control=f"{answer['n_control']:,}",
        n_treatment=f"{answer['n_treatment']:,}",
        control=words.level(metric, answer["control"]),
        treatment=words.level(metric, answer["treatment"]),
        relative="no ratio" if "undefined" in relative else words.percent(relative["estimate"], signed=True),
        relative_range=relative["detail"]
        if "undefined" in relative
        else words.percent_range(relative["interval"]),
        absolute=words.difference(metric, answer["difference"]),
        absolute_range=words.difference_range(metric, answer["interval"]),
        always_valid=anytime["detail"]
        if "undefined" in anytime
        else words.difference_range(metric, anytime["interval"]),
        p_value=words.p_value(answer["p_value"]),
    )


def _effects_summary(rows: list[Effect]) -> str:
    said = [
        f"{row.metric}, {row.arm}: "
        + (
            row.missing
            or (
                f"{row.relative} ({row.relative_range}), {row.word}"
                if row.relative != "no ratio"
                else f"{row.absolute} ({row.absolute_range}), {row.word}"
            )
        )
        for row in rows
    ]
    return f"Interval plot of {len(rows)} comparisons with control. {'; '.join(said)}."


# --- over time -------------------------------------------------------------------------------------------------------
def _over_time(result: Mapping[str, Any], titles: Mapping[str, str]) -> list[dict[str, Any]]:
    """Rows of the table under the cumulative plot, per metric in the page's order."""
    found = []
    for _, measured in _ordered(result):
        metric = measured["metric"]
        rows = [
            {
                "day": point["day"],
                "arm": titles.get(point["arm"], point["arm"]),
                "units": f"{point['n_control']:,} / {point['n_treatment']:,}",
                "difference": words.difference(metric, point["difference"]),
                "band": point["band"]["detail"]
                if "undefined" in point["band"]
                else words.difference_range(metric, point["band"]),
            }
            if "undefined" not in point
            else {
                "day": point["day"],
                "arm": titles.get(point["arm"], point["arm"]),
                "missing": point["detail"],
            }
            for point in result["series"]
            if point["metric"] == metric["key"]
        ]
        if rows:
            found.append({"key": metric["key"], "title": _name(metric), "rows": rows})
    return found


def _over_time_summary(result: Mapping[str, Any], titles: Mapping[str, str]) -> str:
    primary = result["request"]["plan"]["primary"]
    points = [one for one in result["series"] if one["metric"] == primary and "undefined" not in one]
    if not points:
        return ""
    metric, first, last = _measured(result, primary)["metric"], points[0], points[-1]
    return (
        f"Cumulative difference on “{_name(metric)}” from {first['day']} to {last['day']}: "
        f"{words.difference(metric, first['difference'])} at first, "
        f"{words.difference(metric, last['difference'])} at the end ({titles.get(last['arm'], last['arm'])})."
    )


# --- how it was computed ---------------------------------------------------------------------------------------------
def _how(result: Mapping[str, Any], analysis: Analysis) -> dict[str, Any]:
    population, plan = result["request"]["population"], result["request"]["plan"]
    shares = "a comparison of two proportions: pooled z-test, unpooled interval"
    methods = {
        "two_proportions": shares,
        "welch": "Welch's comparison of two means",
        "fisher_exact": "Fisher's exact test with Newcombe's interval, because counts are small",
        "stratified": "differences inside strata, weighted by their size",
        "delta_ratio": "ratio of means by the delta method",
    }
    used = {
        answer["method"]: _name(one["metric"])
        for one in result["metrics"]
        for answer in one["comparisons"]
        if "undefined" not in answer
    }
    since = population["since"]
    return {
        "population": f"Each {population['unit']} with a first {' or '.join(population['exposure_types'])} in phase "
        f"{population['phase']}, in the arm it was assigned (intention to treat); units seen in two arms are left out.",
        "window": f"From {since or 'the first exposure logged'} to {population['until']}.",
        "outcomes": "Outcomes count from a unit's first exposure to the end of each metric's window.",
        "methods": [f"{methods.get(method, method)} for “{name}”" for method, name in used.items()],
        "relative": "Relative effects by Fieller's theorem, so that they agree with the absolute test.",
        "why": "The always-valid interval may be looked at daily without more false alarms; it is read before the "
        f"planned end. At the planned end the narrower fixed-horizon interval is read, once. Level {plan['alpha']:g}, "
        f"tuned for {plan['horizon']:,} units.",
        "metrics": [one["metric"] for one in result["metrics"]],
        "sql": analysis.sql,
    }


def _chart_data(result: Mapping[str, Any], titles: Mapping[str, str], read_as: str) -> dict[str, Any]:
    """The stored JSON as the API serves it, with what the charts need besides: titles, roles, words for effects."""
    return {
        "result": {name: result[name] for name in ("request", "metrics", "series", "arms")},
        "titles": dict(titles),
        "reading": read_as,
        "order": [{"key": one["metric"]["key"], "role": role} for role, one in _ordered(result)],
        "effects": {
            f"{one['metric']['key']}|{answer['arm']}": reading.effect(one["metric"], answer, reading=read_as)
            for one in result["metrics"]
            for answer in one["comparisons"]
        },
        "traffic": health.traffic(result, titles),
    }
