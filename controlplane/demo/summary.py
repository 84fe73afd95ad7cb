"""What a run found, as one JSON document and as a page on the terminal. Every number in it is recomputed by `verify`."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from controlplane.demo import records
from controlplane.demo.slates import BASELINE, LIVE, SWITCHED
from controlplane.demo.steering import Steering
from controlplane.demo.story import Told, result_of

NOTE = (
    "Shoppers, items and events are synthetic. What shoppers do is drawn systematically within each arm, so the run "
    "shows the effect it was given rather than the luck of its seed; its intervals are wider than such draws need."
)
COMPARED = (
    "method", "n_control", "n_treatment", "control", "treatment", "difference", "standard_error", "statistic",
    "degrees_of_freedom", "p_value", "alpha", "interval", "relative", "always_valid",
)  # fmt: skip


def make_summary(told: Told, steering: Steering) -> dict[str, Any]:
    """The whole summary."""
    stats = told.client.stats()
    return {
        "synthetic": True,
        "note": NOTE,
        "run": told.names.run,
        "seed": steering.seed,
        "effect": steering.effect,
        "split": list(steering.split) if steering.split else None,
        "shoppers": steering.shoppers,
        "experiment": _experiment(told),
        "slates": _slates(told),
        "revisions": {
            "oldest_by_stage": dict(told.shop.oldest),
            "decided": {str(revision): count for revision, count in sorted(told.shop.revisions.items())},
        },
        "events": {
            "tracked": sum(told.shop.tracked.values()),
            "by_type": dict(sorted(told.shop.tracked.items())),
            "sent": stats.sent,
            "accepted": stats.accepted,
            "duplicate": stats.duplicate,
            "quarantined": stats.quarantined,
            "sent_twice": told.resent,
            "lost_by_the_host": told.shop.lost,
        },
    }


def write_summary(summary: Mapping[str, Any], path: Path) -> None:
    """Replace the file whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".part")
    beside.write_text(json.dumps(summary, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    beside.replace(path)


def _experiment(told: Told) -> dict[str, Any]:
    result = result_of(told.results)
    verdict = result["verdicts"][0]
    ratio = result["sample_ratio"]
    metrics = {}
    for measured in result["metrics"]:
        comparison = measured["comparisons"][0]
        metrics[measured["metric"]["key"]] = {name: comparison.get(name) for name in COMPARED}
    return {
        "key": told.names.experiment,
        "arms": {arm["arm"]: arm["units"] for arm in result["arms"]},
        "multiple_exposure": result["multiple_exposure"],
        "sample_ratio": {
            name: ratio[name] for name in ("level", "p_value", "statistic", "observed", "expected")
        },
        "sample_ratio_in_words": ratio["verdict"],
        "metrics": metrics,
        "verdict": {"word": verdict["word"], "reading": verdict["reading"]},
        "verdict_in_words": " ".join(verdict["reasons"]),
    }


def _slates(told: Told) -> dict[str, Any]:
    watch, picks, names = told.shop.watch, told.picks, told.names
    boost = {"rule": f"override:{names.boost}", "factor": records.BOOST_FACTOR, "items": list(picks.boosted)}
    pin = {"rule": f"override:{names.pin}", "position": records.PIN_POSITION, "items": [picks.pinned]}
    rail = f"guardrail:{names.guardrail}"
    switch = f"kill:{names.kill_switch}"
    return {
        "of_ranker": "popularity",
        "boost": {**boost, **_before_and_after(told, "boost", BASELINE, LIVE)},
        "pin": {**pin, **_before_and_after(told, "pin", BASELINE, LIVE)},
        "guardrail": {
            "rule": rail,
            "threshold": records.TOXICITY_LIMIT,
            "items": list(picks.toxic),
            **_before_and_after(told, "guardrail", BASELINE, LIVE),
            "removed": watch.removals(rail, (LIVE, SWITCHED)),
        },
        "kill_switch": {
            "rule": switch,
            "items": [picks.killed],
            **_before_and_after(told, "kill_switch", LIVE, SWITCHED),
            "removed": watch.removals(switch, (SWITCHED,)),
        },
    }


def _before_and_after(told: Told, group: str, before: str, after: str) -> dict[str, Any]:
    watch = told.shop.watch
    return {"before": watch.figures(before, group), "after": watch.figures(after, group)}


def page(summary: Mapping[str, Any]) -> Iterator[str]:
    """The summary for a terminal, line by line."""
    experiment, events = summary["experiment"], summary["events"]
    effect = f"true effect {summary['effect']:+.1%}"
    split = "/".join(f"{share:g}" for share in summary["split"]) if summary["split"] else "as planned"
    yield f"Synthetic run {summary['run']}: seed {summary['seed']}, {effect}, served split {split}"
    yield ""
    yield f"Experiment {experiment['key']}"
    sizes = ", ".join(f"{arm} {units:,}" for arm, units in experiment["arms"].items())
    yield f"  shoppers       {sizes}"
    for key, metric in experiment["metrics"].items():
        yield from _metric_lines(key, metric)
    ratio = experiment["sample_ratio"]
    yield f"  sample ratio   {ratio['level']}: chi-square {ratio['statistic']:.2f}, p = {ratio['p_value']:.2g}"
    yield f"  VERDICT        {experiment['verdict']['word'].upper()}"
    yield f"                 {experiment['verdict_in_words']}"
    yield ""
    yield "Slates of the popularity ranker, before → after"
    for name in ("boost", "pin", "guardrail", "kill_switch"):
        yield _slate_line(name, summary["slates"][name])
    yield ""
    decided = ", ".join(
        f"{count:,} by revision {number}" for number, count in summary["revisions"]["decided"].items()
    )
    yield f"Decided        {decided}"
    yield (
        f"Events         {events['sent']:,} sent, {events['accepted']:,} accepted, {events['duplicate']:,} duplicates "
        f"({events['sent_twice']} sent twice on purpose), {events['quarantined']:,} quarantined"
    )
    if events["lost_by_the_host"]:
        yield f"               the host lost the events of {events['lost_by_the_host']:,} shoppers (SPLIT)"
    yield summary["note"]


def _metric_lines(key: str, metric: Mapping[str, Any]) -> Iterator[str]:
    if metric["difference"] is None:
        yield f"  {key:<14} no answer"
        return
    interval = metric["interval"]
    yield (
        f"  {key:<14} control {metric['control']:.4f}, treatment {metric['treatment']:.4f}, difference "
        f"{metric['difference']:+.4f} (95 % interval {interval['low']:+.4f} to {interval['high']:+.4f}), "
        f"p = {metric['p_value']:.2g}"
    )
    relative = metric["relative"]
    if relative and "interval" in relative:
        low, high = relative["interval"]["low"], relative["interval"]["high"]
        yield f"  {'':<14} lift {relative['estimate']:+.2%} (Fieller interval {low:+.2%} to {high:+.2%})"


def _slate_line(name: str, figures: Mapping[str, Any]) -> str:
    before, after = figures["before"], figures["after"]
    shares = f"{_percent(before['share_with_item'])} → {_percent(after['share_with_item'])} of slates"
    places = f"mean position {_number(before['mean_position'])} → {_number(after['mean_position'])}"
    removed = f", {figures['removed']:,} removals" if "removed" in figures else ""
    return f"  {figures['rule']:<28} {len(figures['items'])} item(s): {shares}, {places}{removed}"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.1%}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
