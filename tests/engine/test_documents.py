"""Taking in documents: digests, schema, the validator and its agreement with the committed JSON Schema."""

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from controlplane.engine import Request, RequestError, Ruleset, RulesetError
from controlplane.engine.schema import digest
from controlplane.engine.validate import check_document
from tests.engine.documents import (
    AT,
    document,
    experiment,
    guardrail,
    override,
    shared_section,
    surface_section,
)

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = json.loads((ROOT / "docs" / "schemas" / "ruleset-v1.json").read_text("utf-8"))
CORPUS = json.loads((Path(__file__).parent / "corpus" / "law-1.json").read_text("utf-8"))


def sample() -> dict[str, Any]:
    switch = {"key": "k", "version": 1, "kind": "block_items", "items": ["a"], "rule": None, "surfaces": []}
    return document(
        shared_section(
            audiences={"vip": {"version": 1, "condition": {"tier": "gold"}}},
            experiments=[experiment(audience="vip")],
            kill_switches=[switch],
        ),
        surface_section(
            overrides=[override("boost", "boost", "a", factor=2), override("pin", "pin", "a", position=1)],
            guardrails=[guardrail("g"), guardrail("r", "region_block", regions=["DE"])],
            facts={
                "a": {"available": True, "signals": {"toxicity": 0.1}, "attributes": {}, "regions": ["DE"]}
            },
        ),
    )


def signed(body: dict[str, Any]) -> dict[str, Any]:
    body["manifest"]["sections"] = {name: digest(section) for name, section in body["sections"].items()}
    return body


def at(body: dict[str, Any], path: str) -> tuple[Any, Any]:
    """The container and key that a path such as `sections/shared/experiments/0/salt` names."""
    *steps, last = [int(step) if step.isdigit() else step for step in path.split("/")]
    container: Any = body
    for step in steps:
        container = container[step]
    return container, last


HOME = "sections/surface:home"
BROKEN: list[tuple[str, object]] = [
    ("sections/shared/experiments/0/salt", None),
    ("sections/shared/experiments/0/hash_version", 1),
    ("sections/shared/experiments/0/arms/0/weight", 10_001),
    ("sections/shared/experiments/0/arms/0/ranges", [[0]]),
    ("sections/shared/experiments/0/arms/0/ranges", [[0, 10_001]]),
    ("sections/shared/experiments/0/arms", []),
    ("sections/shared/experiments/0/phase", 0),
    ("sections/shared/experiments/0/unknown", 1),
    ("sections/shared/audiences/vip", {"condition": {}}),
    ("sections/shared/kill_switches/0/kind", "explode"),
    ("sections/shared/kill_switches/0/items", []),
    (f"{HOME}/overrides/0/factor", 1),
    (f"{HOME}/overrides/0/factor", "2"),
    (f"{HOME}/overrides/0/type", "push"),
    (f"{HOME}/overrides/1/items", []),
    (f"{HOME}/overrides/1/position", 0),
    (f"{HOME}/overrides/1/priority", 1.5),
    (f"{HOME}/overrides/1/updated_at", "yesterday"),
    (f"{HOME}/overrides/1/windows", [[AT]]),
    (f"{HOME}/overrides/1/must_match_filters", "yes"),
    (f"{HOME}/guardrails/0/op", "=>"),
    (f"{HOME}/guardrails/0/threshold", None),
    (f"{HOME}/guardrails/0/signal", None),
    (f"{HOME}/guardrails/0/missing", "panic"),
    (f"{HOME}/guardrails/1/regions", []),
    (f"{HOME}/facts/a/available", "yes"),
    (f"{HOME}/facts/a/signals/toxicity", "high"),
    (f"{HOME}/surface/slots", -1),
    (f"{HOME}/surface/fallback", "a"),
    ("manifest/revision", "1"),
    ("manifest/schema", 2),
    ("manifest/environment", ""),
]
ONLY_WE_SEE: list[tuple[str, object, str]] = [
    ("sections/shared/experiments/0/audience", "ghosts", "sections.shared.experiments[0].audience"),
    ("sections/shared/experiments/0/arms/0/weight", 4000, "sections.shared.experiments[0].arms"),
    ("sections/shared/experiments/0/arms/0/key", "b", "sections.shared.experiments[0].arms"),
    (
        "sections/shared/experiments/0/arms/0/ranges",
        [[0, 6000]],
        "sections.shared.experiments[0].arms[1].ranges",
    ),
    (
        "sections/shared/experiments/0/condition",
        {"a": {"$nope": 1}},
        "sections.shared.experiments[0].condition.a.$nope",
    ),
    (f"{HOME}/overrides/0/key", "pin", "sections.surface:home.overrides[1].key"),
    (f"{HOME}/overrides/0/key", "z", "sections.surface:home.overrides"),
    (f"{HOME}/overrides/0/windows", [[AT, AT]], "sections.surface:home.overrides[0].windows[0]"),
    (f"{HOME}/surface/key", "search", "sections.surface:home.surface.key"),
    (f"{HOME}/experiments", [experiment()], "sections.surface:home.experiments[0].key"),
]


def test_check_document__of_good_documents__finds_nothing_and_the_schema_agrees() -> None:
    validator = Draft202012Validator(SCHEMA)
    for body in [sample(), document(), *(entry["document"] for entry in CORPUS)]:
        assert check_document(body) == []
        assert list(validator.iter_errors(body)) == []


@pytest.mark.parametrize(("path", "value"), BROKEN)
def test_check_document__of_a_broken_shape__names_it_and_the_schema_agrees(path: str, value: object) -> None:
    body = sample()
    container, key = at(body, path)
    container[key] = value
    problems = check_document(signed(body))
    assert problems
    assert all(problem.message and problem.remedy for problem in problems)
    assert not Draft202012Validator(SCHEMA).is_valid(body)


@pytest.mark.parametrize(("path", "value", "found"), ONLY_WE_SEE)
def test_check_document__of_what_a_schema_cannot_say__names_the_place(
    path: str, value: object, found: str
) -> None:
    body = sample()
    container, key = at(body, path)
    container[key] = value
    if found.endswith("experiments[0].key"):
        body["sections"]["surface:home"]["experiments"][0]["audience"] = None
    assert [problem.path for problem in check_document(signed(body))] == [found]


@pytest.mark.parametrize(
    "missing", ["manifest", "sections", "sections/shared", "sections/surface:home/facts"]
)
def test_check_document__of_a_missing_part__names_it(missing: str) -> None:
    body = sample()
    container, key = at(body, missing)
    del container[key]
    assert missing.replace("/", ".") in [problem.path for problem in check_document(body)]


def test_check_document__of_a_wrong_digest__names_the_section() -> None:
    body = sample()
    body["manifest"]["sections"]["shared"] = "0" * 64
    assert [problem.path for problem in check_document(body)] == ["manifest.sections.shared"]


def test_from_document__of_a_good_document__answers_what_it_holds() -> None:
    ruleset = Ruleset.from_document(sample())
    assert (ruleset.environment, ruleset.revision, ruleset.surfaces) == ("production", 1, ("home",))
    manifest = sample()["manifest"]
    assert ruleset.digest == digest(manifest)
    assert (
        Ruleset.from_document({**sample(), "manifest": {**manifest, "signature": "x"}}).digest
        == ruleset.digest
    )


@pytest.mark.parametrize(
    ("path", "value", "found"),
    [
        ("sections/shared/experiments", [1], "sections.shared"),
        ("manifest/schema", 2, "manifest.schema"),
        ("manifest/law", 99, "manifest.law"),
        ("manifest/revision", True, "manifest.revision"),
        ("manifest/sections", {}, "sections.shared"),
        ("sections/surface:other", {}, "sections.surface:other"),
        ("sections", [], "sections"),
        ("manifest", None, "manifest"),
    ],
)
def test_from_document__of_what_cannot_be_trusted__raises_with_the_path(
    path: str, value: object, found: str
) -> None:
    body = sample()
    container, key = at(body, path)
    container[key] = value
    with pytest.raises(RulesetError) as caught:
        Ruleset.from_document(body)
    assert caught.value.path == found


def test_from_document__with_the_sections_of_one_token__reads_those() -> None:
    body = sample()
    body["manifest"]["sections"]["surface:elsewhere"] = "0" * 64
    assert Ruleset.from_document(body).surfaces == ("home",)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"at": "2026-11-23T10:00:00+01:00"}, "at"),
        ({"at": None}, "at"),
        ({"surface": 1}, "surface"),
        ({"unit_ids": {"user": 1}}, "unit_ids.user"),
        ({"unit_ids": {"device": "x"}}, "unit_ids.device"),
        ({"unit_ids": {"user": ""}}, "unit_ids.user"),
        ({"slots": -1}, "slots"),
        ({"slots": True}, "slots"),
        ({"context": []}, "context"),
        ({"candidates": {}}, "candidates"),
        ({"candidates": [{"id": "a", "score": float("nan")}]}, "candidates[0].score"),
        ({"candidates": [{"id": ""}]}, "candidates[0].id"),
        ({"candidates": [{"id": "a", "extra": 1}]}, "candidates[0].extra"),
        ({"candidates": [{"id": "a", "propensity": 1.5}]}, "candidates[0].propensity"),
        ({"unknown": 1}, "unknown"),
    ],
)
def test_request_from_json__of_a_wrong_field__names_it(change: dict[str, object], field: str) -> None:
    body = {"surface": "home", "at": AT, "unit_ids": {"user": "u"}, **change}
    with pytest.raises(RequestError) as caught:
        Request.from_json(body)
    assert caught.value.field == field
    assert caught.value.remedy


def test_request_from_json__does_not_change_what_it_reads() -> None:
    body: dict[str, object] = {
        "surface": "home",
        "at": AT,
        "unit_ids": {"user": "u"},
        "candidates": [{"id": "a"}],
    }
    before = copy.deepcopy(body)
    Request.from_json(body)
    assert body == before


def test_engine__imported_alone__imports_the_standard_library_only_and_little_of_it() -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); before = set(sys.modules); import controlplane.engine;"
        "from controlplane.engine import growthbook, validate;"
        "print(*sorted(set(sys.modules) - before))"
    )
    finished = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, str(ROOT)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    loaded = {name.partition(".")[0] for name in finished.stdout.split()} - {"controlplane"}
    assert loaded <= set(sys.stdlib_module_names)
    heavy = {
        "dataclasses",
        "inspect",
        "ast",
        "datetime",
        "zoneinfo",
        "decimal",
        "asyncio",
        "logging",
        "urllib",
        "ssl",
    }
    assert loaded & heavy == set()
