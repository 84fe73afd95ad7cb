"""The GrowthBook evaluator against GrowthBook's published case corpus.

The corpus is not part of this repository: it is read from the folder named by CONTROLPLANE_CONFORMANCE, or from
`../shared/conformance` beside it. Without it these tests are skipped, and say so.
"""

import json
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from controlplane.engine.conditions import compile_condition
from controlplane.engine.growthbook import Evaluation, Payload
from controlplane.engine.hashing import gb_hash
from controlplane.engine.ranges import bucket_ranges, choose_variation, equal_weights, in_namespace

FOLDER = Path(
    os.environ.get("CONTROLPLANE_CONFORMANCE")
    or Path(__file__).resolve().parents[3] / "shared" / "conformance"
)
CASES = FOLDER / "growthbook-cases-part.json"
GROUPS = (
    "evalCondition",
    "hash",
    "getBucketRange",
    "feature",
    "run",
    "chooseVariation",
    "inNamespace",
    "getEqualWeights",
    "stickyBucket",
    "contextualBandit",
)


@cache
def corpus() -> dict[str, list[list[Any]]]:
    if not CASES.is_file():
        pytest.skip(f"GrowthBook's cases are not at {CASES}; set CONTROLPLANE_CONFORMANCE to their folder")
    loaded: dict[str, list[list[Any]]] = json.loads(CASES.read_text("utf-8"))
    return loaded


def evaluation(context: Mapping[str, Any], sticky: list[dict[str, object]] | None = None) -> Evaluation:
    return Evaluation(
        context.get("attributes", {}),
        forced_variations=context.get("forcedVariations", {}),
        forced_features=dict(context.get("forcedFeatureValues", {})),
        sticky=sticky,
        url=context.get("url", ""),
        enabled=context.get("enabled", True),
        qa_mode=context.get("qaMode", False),
    )


def rounded(ranges: list[tuple[float, float]]) -> list[list[float]]:
    return [[round(low, 6), round(high, 6)] for low, high in ranges]


def answer(group: str, case: list[Any]) -> tuple[object, object]:
    """What we say and what the corpus expects."""
    match group:
        case "evalCondition":
            groups = case[4] if len(case) > 4 else None
            return compile_condition(case[1], saved_groups=groups)(case[2]), case[3]
        case "hash":
            return gb_hash(*case[:3]), case[3]
        case "getBucketRange":
            return rounded(bucket_ranges(*case[1])), rounded(case[2])
        case "feature" | "contextualBandit":
            result = Payload.from_json(case[1]).feature(case[2], evaluation(case[1]))
            return result.to_json(), case[3]
        case "run":
            ran = Payload.from_json(case[1]).run(case[2], evaluation(case[1]))
            return [ran.value, ran.in_experiment, ran.hash_used], case[3:6]
        case "chooseVariation":
            return choose_variation(case[1], case[2]), case[3]
        case "inNamespace":
            return in_namespace(case[1], case[2]), case[3]
        case "getEqualWeights":
            return [round(w, 8) for w in equal_weights(case[0])], [round(w, 8) for w in case[1]]
        case _:
            raise AssertionError(group)


@pytest.mark.parametrize("group", [group for group in GROUPS if group != "stickyBucket"])
def test_growthbook__published_cases__agree(group: str) -> None:
    cases = corpus()[group]
    wrong = [(case, ours) for case in cases for ours, expected in [answer(group, case)] if ours != expected]
    assert len(cases) >= 3
    assert wrong == []


def test_growthbook__published_sticky_cases__agree_and_store_the_same_documents() -> None:
    cases = corpus()["stickyBucket"]
    assert len(cases) >= 5
    for name, context, stored, feature, expected, documents in cases:
        who = evaluation(context, [*context.get("stickyBucketAssignmentDocs", {}).values(), *stored])
        result = Payload.from_json(context).feature(feature, who).result
        assert (result.to_json() if result else None, who.sticky) == (expected, documents), name
