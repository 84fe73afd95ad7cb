"""Linking, as a pure function: nothing depends on the order of the input, and the artefact is one that clients accept."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from controlplane.core.canonical import canonical_json
from controlplane.engine.schema import LAW_VERSION, SCHEMA_VERSION
from controlplane.engine.validate import check_document
from controlplane.rulesets.fragments import SHARED, Entry, Fragment, surface_section
from controlplane.rulesets.linker import Linked, link, restriction, wanted

SURFACES = ("email", "home-feed", "search")
ITEMS = ("a", "b", "c", "d")


def surface(key: str, fallback: tuple[str, ...] = ()) -> Entry:
    body = {"key": key, "kind": "home-feed", "slots": 4, "fallback": list(fallback)}
    return Entry(surface_section(key), "surface", key, body)


def boost(key: str, section: str = "surface:*", *, factor: float = 1.5, audience: str | None = None) -> Entry:
    body: dict[str, Any] = {"key": key, "version": 1, "type": "boost", "items": ["a"], "factor": factor}
    if audience:
        body["when"] = {"audience": audience}
    refs = (("audience", audience),) if audience else ()
    return Entry(section, "overrides", key, body, refs)  # type: ignore[arg-type]


def guardrail(key: str, section: str = "surface:*", **changes: Any) -> Entry:
    body = {"key": key, "version": 1, "action": "block", "signal": "toxicity", "op": ">=", "threshold": 0.8}
    return Entry(section, "guardrails", key, {**body, **changes})


def audience(key: str) -> Entry:
    return Entry(SHARED, "audiences", key, {"version": 1, "condition": {"country": "NL"}})


def fact(toxicity: float = 0.0, **attributes: Any) -> dict[str, Any]:
    return {"available": True, "signals": {"toxicity": toxicity}, "attributes": attributes}


keys = st.sampled_from(["one", "two", "three", "four"])
sections = st.sampled_from(["surface:*", *map(surface_section, SURFACES), "surface:cellar"])
overrides = st.builds(
    boost,
    keys,
    sections,
    factor=st.sampled_from([1.2, 1.5]),
    audience=st.sampled_from([None, "vip", "nobody"]),
)
guardrails = st.builds(guardrail, keys, sections, threshold=st.sampled_from([0.5, 0.8]))
fragments = st.tuples(
    st.lists(overrides, max_size=6),
    st.lists(guardrails, max_size=4),
    st.lists(overrides, max_size=3),
    st.sets(st.sampled_from(SURFACES)),
)


def sources(drawn: tuple[list[Entry], list[Entry], list[Entry], set[str]]) -> list[Fragment]:
    boosts, rails, more, surfaces = drawn
    catalogue = [*(surface(key, ("b", "c")) for key in surfaces), audience("vip")]
    return [
        Fragment("catalog", catalogue),
        Fragment("overrides", boosts),
        Fragment("guardrails", rails),
        Fragment("campaigns", more),
    ]


FACTS = {"a": fact(0.1), "b": fact(0.9), "c": fact(0.6), "d": fact(0.85)}


@given(fragments, st.randoms(use_true_random=False))
def test_link__any_order_of_sources_and_entries__is_the_same(
    drawn: tuple[list[Entry], list[Entry], list[Entry], set[str]], shuffler: random.Random
) -> None:
    first = sources(drawn)
    shuffled = [list(part) for part in drawn]
    for part in shuffled[:3]:
        shuffler.shuffle(part)
    second = sources((*shuffled[:3], drawn[3]))  # type: ignore[arg-type]
    shuffler.shuffle(second)
    backwards = dict(reversed(FACTS.items()))

    one, other = link(first, facts=FACTS), link(second, facts=backwards)

    assert canonical_json(one.sections) == canonical_json(other.sections)
    assert one.digests == other.digests
    assert one.findings == other.findings


@given(fragments)
def test_link__whatever_the_sources_say__is_a_document_without_problems(
    drawn: tuple[list[Entry], list[Entry], list[Entry], set[str]],
) -> None:
    linked = link(sources(drawn), facts=FACTS)

    problems = [problem for problem in check_document(document(linked)) if "audience" not in problem.path]
    assert problems == []


def document(linked: Linked) -> dict[str, Any]:
    manifest = {
        "schema": SCHEMA_VERSION,
        "law": LAW_VERSION,
        "environment": "production",
        "revision": 1,
        "previous": 0,
        "sections": linked.digests,
    }
    return {"manifest": manifest, "sections": linked.sections}


def codes(linked: Linked) -> list[tuple[str, str, str]]:
    return [(found.code, found.severity.value, found.subject) for found in linked.findings]


def test_link__rule_of_every_surface__stands_in_each() -> None:
    linked = link(
        [
            Fragment("catalog", [surface("home-feed"), surface("email")]),
            Fragment("overrides", [boost("one")]),
        ],
        facts={},
    )

    assert sorted(linked.sections) == ["shared", "surface:email", "surface:home-feed"]
    for key in ("email", "home-feed"):
        assert [body["key"] for body in linked.sections[surface_section(key)]["overrides"]] == ["one"]
    assert linked.findings == ()


def test_link__two_sources_claim_a_key__the_first_by_name_stands() -> None:
    linked = link(
        [
            Fragment("overrides", [boost("one", "surface:home-feed", factor=1.2)]),
            Fragment("campaigns", [boost("one", "surface:home-feed", factor=1.9)]),
            Fragment("catalog", [surface("home-feed")]),
        ],
        facts={},
    )

    assert [body["factor"] for body in linked.sections["surface:home-feed"]["overrides"]] == [1.9]
    assert codes(linked) == [("duplicate_key", "error", "overrides.override:one")]


def test_link__unknown_audience__leaves_the_rule_out_and_says_so() -> None:
    linked = link(
        [
            Fragment("catalog", [surface("home-feed"), audience("vip")]),
            Fragment("overrides", [boost("one", audience="vip"), boost("two", audience="nobody")]),
        ],
        facts={},
    )

    assert [body["key"] for body in linked.sections["surface:home-feed"]["overrides"]] == ["one"]
    assert codes(linked) == [("dangling_reference", "warning", "overrides.override:two")]
    assert linked.findings[0].evidence["missing"] == "audience:nobody"
    assert check_document(document(linked)) == []


def test_link__unknown_attribute__is_a_warning_only_where_the_dictionary_is_known() -> None:
    reads = Entry(
        SHARED,
        "audiences",
        "vip",
        {"version": 1, "condition": {"cuontry": "NL"}},
        (("attribute", "cuontry"),),
    )
    fragment = Fragment("catalog", [reads])

    assert link([fragment], facts={}).findings == ()
    known = link([fragment], facts={}, attributes=frozenset({"country"}))
    assert codes(known) == [("dangling_reference", "warning", "catalog.audience:vip")]
    assert "vip" in known.sections["shared"]["audiences"]


def test_link__misplaced_entry__is_an_error_of_its_source() -> None:
    linked = link(
        [
            Fragment("catalog", [surface("home-feed")]),
            Fragment("overrides", [boost("one", SHARED)]),
            Fragment("guardrails", [replace(guardrail("three"), key="two")]),
        ],
        facts={},
    )

    assert codes(linked) == [
        ("misplaced_entry", "error", "guardrails.guardrail:two"),
        ("misplaced_entry", "error", "overrides.override:one"),
    ]


def test_link__facts__are_of_named_and_of_restricted_items_by_surface() -> None:
    linked = link(
        [
            Fragment("catalog", [surface("home-feed", ("c",)), surface("email")]),
            Fragment("overrides", [boost("one", "surface:email")]),
            Fragment("guardrails", [guardrail("toxic", "surface:email")]),
        ],
        facts=FACTS,
    )

    assert sorted(linked.sections["surface:home-feed"]["facts"]) == ["c"]
    assert sorted(linked.sections["surface:email"]["facts"]) == ["a", "b", "d"]


def test_wanted__named_items_and_restricting_conditions() -> None:
    needs = wanted(
        [
            Fragment("catalog", [surface("home-feed", ("c",))]),
            Fragment("overrides", [boost("one")]),
            Fragment("guardrails", [guardrail("toxic"), guardrail("same-again")]),
        ]
    )

    assert needs.items == {"a", "c"}
    assert needs.conditions == ({"signals.toxicity": {"$gte": 0.8}},)


def test_restriction__signal_and_condition__are_both_demanded() -> None:
    threshold = {"signals.toxicity": {"$gte": 0.8}}
    rail = guardrail("one").body

    assert restriction(rail) == threshold
    assert restriction({**rail, "condition": {"kind": "video"}}) == {**threshold, "kind": "video"}
    assert restriction({**rail, "condition": threshold}) == {"$and": [threshold, threshold]}
    assert restriction({"condition": {"kind": "video"}}) == {"kind": "video"}
    assert restriction({}) is None
