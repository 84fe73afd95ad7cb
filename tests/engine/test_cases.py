"""The case corpus in cases/: the engine's contract in a form that any language can run. See cases/README.md."""

import json
from pathlib import Path
from typing import Any

import pytest

from controlplane.engine import Decision, Request, decide
from controlplane.engine.schema import ACTIONS, KINDS, SWITCHES
from controlplane.engine.validate import check_document
from tests.engine.documents import AT, document, ruleset, shared_section, surface_section

FOLDER = Path(__file__).parent / "cases"


def load() -> list[Any]:
    files = sorted(FOLDER.glob("*.json"))
    return [
        pytest.param(case, id=f"{file.stem}: {case['name']}")
        for file in files
        for case in json.loads(file.read_text("utf-8"))
    ]


CASES = load()


def sections(case: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    surface = case.get("surface", {})
    return shared_section(**case.get("shared", {})), surface_section(**surface)


def full_request(case: dict[str, Any]) -> Request:
    body = dict(case["request"])
    candidates = [
        {"id": one, "score": 1 - at / 100} if isinstance(one, str) else one
        for at, one in enumerate(body.pop("candidates", []))
    ]
    return Request.from_json(
        {"surface": "home", "at": AT, "unit_ids": {"user": "u1"}, **body, "candidates": candidates}
    )


def observed(decision: Decision, name: str) -> object:
    match name:
        case "slate":
            return [item.id for item in decision.slate]
        case "removed":
            return [[gone.id, gone.reason, gone.rule] for gone in decision.removed]
        case "codes":
            return {item.id: list(item.rule_codes) for item in decision.slate if item.rule_codes}
        case "fallback":
            return [item.id for item in decision.slate if item.is_fallback]
        case "scores":
            return {item.id: item.score for item in decision.slate}
        case "assignments":
            return {one.experiment: [one.arm, one.reason] for one in decision.assignments}
        case "trace":
            return [
                [step.step, step.rule, step.item, step.rank_before, step.rank_after]
                for step in decision.trace
            ]
        case "reasons":
            return list(decision.reasons)
        case _:
            raise AssertionError(f"a case expects {name}, which no decision has")


@pytest.mark.parametrize("case", CASES)
def test_case__as_written__decides_as_expected(case: dict[str, Any]) -> None:
    shared, surface = sections(case)
    decision = decide(ruleset(shared, surface), full_request(case))
    assert {name: observed(decision, name) for name in case["expect"]} == case["expect"]


@pytest.mark.parametrize("case", CASES)
def test_case__as_written__is_a_document_fit_to_publish(case: dict[str, Any]) -> None:
    problems = check_document(document(*sections(case)))
    assert [problem.path for problem in problems] == case.get("problems", [])


def test_cases__together__cover_every_type_action_and_switch() -> None:
    surfaces = [case.values[0].get("surface", {}) for case in CASES]
    switches = [one for case in CASES for one in case.values[0].get("shared", {}).get("kill_switches", [])]
    types = {rule["type"] for surface in surfaces for rule in surface.get("overrides", [])}
    actions = {rail["action"] for surface in surfaces for rail in surface.get("guardrails", [])}
    assert (types, actions) == (set(KINDS), set(ACTIONS))
    assert {switch["kind"] for switch in switches} == set(SWITCHES)
