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
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.engine import assign
from controlplane.engine.conditions import compile_condition
from controlplane.engine.growthbook import Evaluation, Payload
from controlplane.engine.hashing import gb_hash
from controlplane.engine.ranges import bucket_ranges, choose_variation, equal_weights, in_namespace
from tests.engine.documents import experiment, request, ruleset, shared_section, surface_section

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


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.floats()
    | st.sampled_from(["id", "a", "f", "exp", ""])
)
junk = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)
NAMES = (
    "force", "variations", "contextualVariations", "contextualBanditRef", "key", "coverage", "weights", "ranges", "range", "meta",
    "filters", "seed", "hashAttribute", "fallbackAttribute", "hashVersion", "namespace", "condition", "parentConditions",
    "bucketVersion", "minBucketVersion", "disableStickyBucketing", "phase", "name", "active", "status", "tracks",
)  # fmt: skip
rules = st.fixed_dictionaries({}, optional=dict.fromkeys(NAMES, junk)) | st.fixed_dictionaries(
    {"variations": st.just(["x", "y"])}, optional=dict.fromkeys(NAMES[2:], junk)
)
features = st.dictionaries(
    st.sampled_from(["f", "g"]), st.fixed_dictionaries({"rules": st.lists(rules | junk, max_size=3)}) | junk
)


@given(
    features,
    st.dictionaries(st.sampled_from(["a", "exp", "x"]), junk),
    st.dictionaries(st.sampled_from(["id", "a"]), junk),
)
@settings(max_examples=300, deadline=None)
def test_growthbook__on_junk__answers_without_raising(
    found: dict[str, Any], bandits: dict[str, Any], attributes: dict[str, Any]
) -> None:
    payload = Payload.from_json({"features": found, "contextualBandits": bandits, "savedGroups": bandits})
    stored: list[Mapping[str, object]] = [
        {"attributeName": "id", "attributeValue": "a", "assignments": attributes}
    ]
    for key in ("f", "g", "missing"):
        result = payload.feature(key, Evaluation(attributes, sticky=stored, forced_variations=attributes))
        assert result.to_json()["on"] is not result.to_json()["off"]


def test_growthbook__prerequisites_in_a_circle__end_as_cyclic() -> None:
    def needs(other: str) -> dict[str, Any]:
        return {
            "defaultValue": 1,
            "rules": [{"parentConditions": [{"id": other, "condition": {"value": 1}}], "force": 2}],
        }

    payload = Payload({"f": needs("g"), "g": needs("f")})
    assert payload.feature("f", Evaluation({})).source == "cyclicPrerequisite"


def test_growthbook__our_experiment_as_a_rule__puts_units_into_the_same_arms() -> None:
    ours = ruleset(shared_section(experiments=[experiment(coverage=6000)]), surface_section())
    body = experiment(coverage=6000)
    rule = {
        "variations": [arm["key"] for arm in body["arms"]],
        "ranges": [[bound / 10_000 for bound in arm["ranges"][0]] for arm in body["arms"]],
        "seed": body["salt"],
        "hashAttribute": "user",
        "hashVersion": 2,
    }
    payload = Payload({"ranker": {"rules": [rule]}})
    seen = set()
    for number in range(2000):
        arm = assign(ours, request(user=f"u{number}"))[0].arm
        seen.add(arm)
        assert payload.feature("ranker", Evaluation({"user": f"u{number}"})).value == arm
    assert seen == {"a", "b", None}
