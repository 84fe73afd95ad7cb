"""What the content of an experiment may say. Pure: references are judged with the catalogue and the metrics elsewhere."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from controlplane.core.contents import Content, utc
from controlplane.core.naming import KEY_PATTERN

WHOLE: Final = 10_000
"""Weights and coverage are integers in 1/10,000."""
FIELDS: Final = (
    "hypothesis", "surfaces", "hash_attribute", "arms", "coverage", "condition", "audience", "primary_metric", "metrics",
    "guardrail_metrics", "planned_end", "planned_units", "exposure_types", "stratify_by",
)  # fmt: skip
ARM_FIELDS: Final = ("key", "title", "weight", "parameters")
UNITS: Final = ("user", "anonymous", "session", "request")
EXPOSURES: Final = ("exposure", "decision", "impression")
MAX_ARMS: Final = 10
MAX_PARAMETERS: Final = 50
# What randomisation rests on: changing one of these moves units or changes what they are compared on.
FIXED_WHILE_RUNNING: Final = ("surfaces", "hash_attribute", "condition", "audience", "exposure_types")


def check(content: Mapping[str, Any]) -> dict[str, Any]:
    """The content with every field in place; the first arm is the control. Raises InvalidInput naming all that is wrong."""
    given = Content(content, known=FIELDS)
    metrics = given.texts("metrics", most=50, longest=64)
    whole: dict[str, Any] = {
        "hypothesis": given.text("hypothesis", default="", most=2_000),
        "surfaces": sorted(given.texts("surfaces", most=100, longest=64)),
        "hash_attribute": given.choice("hash_attribute", UNITS, default="user"),
        "arms": _arms(given),
        "coverage": given.whole("coverage", least=0, most=WHOLE, default=WHOLE),
        "condition": given.condition("condition"),
        "audience": given.text("audience", default="", most=64) or None
        if given.given("audience") is not None
        else None,
        "primary_metric": given.text("primary_metric", most=64),
        "metrics": metrics,
        "guardrail_metrics": given.texts("guardrail_metrics", most=50, longest=64),
        "planned_end": _planned_end(given),
        "planned_units": given.whole("planned_units", least=2, most=10_000_000_000, default=WHOLE),
        "exposure_types": given.texts("exposure_types", most=3) or ["exposure"],
        "stratify_by": given.choice("stratify_by", ("surface",))
        if given.given("stratify_by") is not None
        else None,
    }
    unknown = [kind for kind in whole["exposure_types"] if kind not in EXPOSURES]
    if unknown:
        given.wrong(
            "exposure_types", f"{', '.join(unknown)} is no exposure", f"Choose from {', '.join(EXPOSURES)}."
        )
    whole["metrics"] = list(dict.fromkeys([whole["primary_metric"], *metrics, *whole["guardrail_metrics"]]))
    given.done("experiment")
    return whole


def _planned_end(given: Content) -> str | None:
    if given.given("planned_end") is None:
        return None
    moment = given.moment("planned_end", given.given("planned_end"))
    return utc(moment) if moment else None


def _arms(given: Content) -> list[dict[str, Any]]:
    value = given.given("arms")
    if not isinstance(value, list) or not 2 <= len(value) <= MAX_ARMS:
        given.wrong("arms", f"there must be 2 to {MAX_ARMS} arms", "List them, the control first.")
        return []
    arms = [arm for index, one in enumerate(value) if (arm := _arm(given, index, one))]
    keys = [arm["key"] for arm in arms]
    twice = sorted({key for key in keys if keys.count(key) > 1})
    if twice:
        given.wrong("arms", f"two arms are called {', '.join(twice)}", "Give each arm a key of its own.")
    total = sum(arm["weight"] for arm in arms)
    if len(arms) == len(value) and total != WHOLE:
        given.wrong(
            "arms",
            f"the weights sum to {total}, not {WHOLE}",
            f"Weights are in 1/{WHOLE}: make them sum to {WHOLE}.",
        )
    return arms


def _arm(given: Content, index: int, value: Any) -> dict[str, Any] | None:
    if not isinstance(value, Mapping):
        given.wrong(f"arms.{index}", "is not an object", 'Write {"key": …, "weight": …}.')
        return None
    inner = Content(value, known=ARM_FIELDS, prefix=f"content.arms.{index}.")
    key = inner.text("key", most=64)
    if key and not re.fullmatch(KEY_PATTERN, key):
        inner.wrong("key", "cannot be a key", "Use lower-case letters, digits, dots, dashes, underscores.")
    weight = inner.whole("weight", least=0, most=WHOLE)
    if weight is None and inner.given("weight") is None:
        inner.wrong("weight", "is required", f"Write the arm's share in 1/{WHOLE}.")
    parameters = inner.given("parameters") if inner.given("parameters") is not None else {}
    if not isinstance(parameters, dict) or len(parameters) > MAX_PARAMETERS:
        inner.wrong("parameters", f"is not an object of at most {MAX_PARAMETERS} fields", "Write an object.")
        parameters = {}
    title = inner.text("title", default=key, most=160)
    given.errors += inner.errors
    return None if inner.errors else {"key": key, "title": title, "weight": weight, "parameters": parameters}


def biasing_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Fields whose change would move enrolled units between arms, or change what the arms are, in a running experiment."""
    changed = [name for name in FIXED_WHILE_RUNNING if before[name] != after[name]]

    def essence(content: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        return [(arm["key"], arm["weight"], arm["parameters"]) for arm in content["arms"]]

    return [*changed, "arms"] if essence(before) != essence(after) else changed
