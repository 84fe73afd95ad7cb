"""Experiments known by published statistics alone: what could be read at each checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from controlplane.evidence import selectors as evidence
from controlplane.evidence.models import Metric
from controlplane.evidence.selectors import Checkpoint
from controlplane.stats.answers import Interval, Undefined
from experiments.models import Experiment
from experiments.pages import words

PLAIN: Mapping[str, Any] = {"kind": "mean", "unit": ""}


def context(experiment: Experiment, content: Mapping[str, Any]) -> dict[str, Any] | None:
    """Readings of every metric and checkpoint, or None when no statistics were imported."""
    control = content["arms"][0]["key"]
    found = evidence.imported_comparisons(
        experiment.subject, control=control, horizon=content["planned_units"] or 10_000
    )
    if not found:
        return None
    titles = words.titles(content)
    named = dict(Metric.objects.filter(key__in={one.metric for one in found}).values_list("key", "title"))
    metrics: dict[str, list[Checkpoint]] = {}
    for one in found:
        metrics.setdefault(one.metric, []).append(one)
    ordered = sorted(metrics, key=lambda key: (key != content["primary_metric"], key))
    return {
        "note": experiment.unit_note,
        "checkpoints": len({one.checkpoint for one in found}),
        "metrics": [
            {
                "key": key,
                "title": named.get(key, key),
                "summary": _summary(named.get(key, key), metrics[key], titles),
                "rows": [_row(one, titles) for one in metrics[key]],
            }
            for key in ordered
        ],
        "charts": {
            "titles": titles,
            "checkpoints": {key: [_point(one) for one in metrics[key]] for key in ordered},
            "names": {key: named.get(key, key) for key in ordered},
        },
    }


def _row(one: Checkpoint, titles: Mapping[str, str]) -> dict[str, Any]:
    head = {"checkpoint": f"{one.checkpoint:g}", "arm": titles.get(one.arm, one.arm)}
    answer = one.answer
    if isinstance(answer, Undefined):
        return {**head, "missing": answer.detail}
    anytime = answer.always_valid
    late = None if isinstance(anytime, Undefined) else anytime.interval
    return {
        **head,
        "sizes": f"{answer.n_control:,} / {answer.n_treatment:,}",
        "difference": words.difference(PLAIN, answer.difference),
        "fixed": words.difference_range(PLAIN, _ends(answer.interval)),
        "fixed_word": _word(answer.interval),
        "always_valid": anytime.detail
        if isinstance(anytime, Undefined)
        else words.difference_range(PLAIN, _ends(late)),
        "always_valid_word": _word(late),
        "p_value": words.p_value(answer.p_value),
    }


def _word(interval: Interval | None) -> str:
    if interval is None:
        return "no answer"
    return "differs" if interval.excludes(0.0) else "unclear"


def _ends(interval: Interval | None) -> dict[str, float]:
    return {"low": interval.low, "high": interval.high} if interval else {"low": 0.0, "high": 0.0}


def _point(one: Checkpoint) -> dict[str, Any]:
    head = {"at": one.checkpoint, "arm": one.arm}
    answer = one.answer
    if isinstance(answer, Undefined):
        return {**head, "undefined": answer.reason}
    anytime = answer.always_valid
    return {
        **head,
        "difference": answer.difference,
        "interval": _ends(answer.interval),
        "band": None if isinstance(anytime, Undefined) else _ends(anytime.interval),
    }


def _summary(title: str, points: list[Checkpoint], titles: Mapping[str, str]) -> str:
    """How the two readings end, in a sentence."""
    last = points[-1]
    if isinstance(last.answer, Undefined):
        return f"{title}: no answer at the last checkpoint. {last.answer.detail}"
    row = _row(last, titles)
    early = [
        one for one in points if not isinstance(one.answer, Undefined) and one.answer.interval.excludes(0.0)
    ]
    return (
        f"{title}: at the last checkpoint ({row['checkpoint']} days) {row['difference']}; read once "
        f"{row['fixed']} ({row['fixed_word']}), read at any time {row['always_valid']} ({row['always_valid_word']}). "
        f"A fixed-horizon reading at each of {len(points)} checkpoints would have called {len(early)} of them a difference."
    )
