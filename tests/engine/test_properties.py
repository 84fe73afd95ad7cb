"""Properties of the law, over generated rulesets, requests and plain junk."""

import json
from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.engine import Candidate, Decision, Request, Ruleset, assign, decide
from controlplane.engine.conditions import OPERATORS, compile_condition, condition_attributes
from controlplane.engine.hashing import bucket, bucket_after, fnv32a, salted
from controlplane.engine.ranges import arm_ranges, holds
from tests.engine.documents import (
    AT,
    experiment,
    guardrail,
    override,
    request,
    ruleset,
    shared_section,
    surface_section,
)

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6)
junk = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=8,
)
names = st.sampled_from(["a", "b", "c", "d", "e", "f"])
names_listed = st.lists(names, max_size=4)
operators = st.sampled_from([*sorted(OPERATORS), "$and", "$or", "$nor", "$not", "$nope"])
conditions = st.recursive(
    scalars | st.lists(scalars, max_size=3),
    lambda inner: st.dictionaries(operators | names, inner | st.lists(inner, max_size=3), max_size=3),
    max_leaves=6,
)
toxicities = st.sampled_from([None, 0.0, 0.5, 0.79, 0.8, 0.81, 1.0])

OPTIONAL = (
    "version",
    "items",
    "condition",
    "position",
    "factor",
    "when",
    "windows",
    "priority",
    "must_match_filters",
    "temporary",
    "updated_at",
    "signal",
    "op",
    "threshold",
    "missing",
    "min_age",
    "regions",
    "max_share",
    "status",
    "rule",
    "surfaces",
    "arms",
    "salt",
    "filters",
    "phase",
    "audience",
    "coverage",
    "hash_attribute",
    "sticky",
)


def bodies(kind: str) -> st.SearchStrategy[dict[str, Any]]:
    fields = {
        "key": names,
        "type": st.sampled_from(["pin", "boost", "bury", "hide", "require"]),
        "action": st.sampled_from(["block", "demote", "age_gate", "region_block", "label", "slate_cap"]),
        "kind": st.sampled_from(["block_items", "disable_rule", "safe_mode"]),
    }
    wanted = {"key": fields["key"], **({kind: fields[kind]} if kind in fields else {})}
    optional = dict.fromkeys(OPTIONAL, junk)
    return st.fixed_dictionaries(wanted, optional=optional)


@st.composite
def facts(draw: st.DrawFn) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in draw(st.sets(names)):
        toxicity = draw(toxicities)
        found[name] = {
            "available": draw(st.sampled_from([True, True, True, False])),
            "signals": {} if toxicity is None else {"toxicity": toxicity},
            "attributes": draw(st.dictionaries(st.just("brand"), st.sampled_from(["x", "y"]))),
        }
    return found


@st.composite
def candidates(draw: st.DrawFn) -> tuple[Candidate, ...]:
    found = []
    for name in draw(st.lists(names, max_size=8)):
        toxicity = draw(toxicities)
        attributes = {} if toxicity is None else {"signals": {"toxicity": toxicity}}
        found.append(Candidate(name, draw(st.none() | st.floats(-10, 10)), attributes))
    return tuple(found)


@st.composite
def merchandising(draw: st.DrawFn) -> list[dict[str, Any]]:
    rules = []
    for at in range(draw(st.integers(0, 6))):
        kind = draw(st.sampled_from(["pin", "boost", "bury", "hide", "require"]))
        rules.append(
            override(
                f"o{at}",
                kind,
                *draw(names_listed),
                position=draw(st.integers(1, 6)),
                factor=draw(st.sampled_from([0.5, 2.0, 50.0])),
                priority=draw(st.integers(0, 3)),
                must_match_filters=draw(st.booleans()),
                condition=draw(st.sampled_from([None, {"brand": "x"}])),
            )
        )
    return rules


@given(candidates(), facts(), merchandising(), names_listed, names_listed, st.none() | st.integers(0, 8))
@settings(max_examples=150, deadline=None)
def test_gates__whatever_brings_an_item_in__let_no_refused_item_through(
    given_items: tuple[Candidate, ...],
    known: dict[str, Any],
    rules: list[dict[str, Any]],
    fallback: list[str],
    blocked: list[str],
    slots: int | None,
) -> None:
    switch = {"key": "k", "version": 1, "kind": "block_items", "items": blocked, "surfaces": []}
    cap = guardrail("cap", "slate_cap", max_share=3000, threshold=0.5)
    surface = surface_section(
        surface={"fallback": fallback}, overrides=rules, guardrails=[guardrail("g"), cap], facts=known
    )
    decision = decide(
        ruleset(shared_section(kill_switches=[switch]), surface), request(*given_items, slots=slots)
    )
    shown = [item.id for item in decision.slate]
    proposed: dict[str, Candidate] = {}
    for one in given_items:
        proposed.setdefault(one.id, one)
    hidden = {item for rule in rules if rule["type"] == "hide" for item in rule["items"]}

    def readings(item: str) -> list[float]:
        sources = [known.get(item, {}), proposed[item].attributes if item in proposed else {}]
        return [
            source["signals"]["toxicity"] for source in sources if "toxicity" in source.get("signals", {})
        ]

    assert len(shown) == len(set(shown))
    assert not set(shown) & (set(blocked) | hidden)
    for item in shown:
        assert item in known or item in proposed
        assert known.get(item, {}).get("available") is not False
        assert max(readings(item), default=0.0) < 0.8
    assert sum(max(readings(item), default=0.0) >= 0.5 for item in shown) <= 3000 * len(shown) // 10_000
    assert slots is None or len(shown) <= slots
    assert not set(shown) & {gone.id for gone in decision.removed if gone.reason != "duplicate"}
    accounted = set(shown) | {gone.id for gone in decision.removed}
    assert set(proposed) <= accounted


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "audiences": junk,
            "experiments": st.lists(bodies("")),
            "kill_switches": st.lists(bodies("kind")),
        },
    ),
    st.fixed_dictionaries(
        {},
        optional={
            "surface": junk,
            "overrides": st.lists(bodies("type")) | junk,
            "guardrails": st.lists(bodies("action")) | junk,
            "facts": st.dictionaries(names, junk) | junk,
            "experiments": junk,
        },
    ),
    st.lists(st.builds(Candidate, junk, junk, junk, junk, junk) | junk, max_size=5) | junk,
    st.tuples(junk, junk, junk, junk, junk, junk),
)
@settings(max_examples=200, deadline=None)
def test_decide__on_junk__answers_without_raising(
    shared: dict[str, Any], surface: dict[str, Any], items: Any, rest: tuple[Any, ...]
) -> None:
    at, units, context, slots, sticky, forced = rest
    manifest = {
        "schema": 1,
        "law": 1,
        "environment": "e",
        "revision": 1,
        "sections": {"shared": "", "surface:home": ""},
    }
    document = {"manifest": manifest, "sections": {"shared": shared, "surface:home": surface}}
    rules = Ruleset.from_document(document, verify=False)
    asked = Request("home", at, units, context, items, slots, None, sticky, {}, forced)
    decision = decide(rules, asked)
    assert decision.assignments == assign(rules, asked)
    assert [item.position for item in decision.slate] == list(range(1, len(decision.slate) + 1))


@given(conditions | junk, st.dictionaries(names, junk, max_size=4))
@settings(max_examples=300, deadline=None)
def test_condition__of_others__compiles_and_answers_a_boolean(
    condition: Any, attributes: dict[str, Any]
) -> None:
    assert compile_condition(condition)(attributes) in (True, False)
    assert isinstance(condition_attributes(condition), frozenset)


@given(candidates(), facts(), merchandising(), st.sampled_from(["u1", "ü", "", "x" * 36]))
@settings(max_examples=60, deadline=None)
def test_request_and_decision__through_json__come_back_equal(
    given_items: tuple[Candidate, ...], known: dict[str, Any], rules: list[dict[str, Any]], user: str
) -> None:
    asked = request(
        *given_items, unit_ids={"user": user} if user else {"session": "s"}, context={"tags": ["a", None]}
    )
    compiled = ruleset(
        shared_section(experiments=[experiment()]), surface_section(overrides=rules, facts=known)
    )
    back = Request.from_json(json.loads(json.dumps(asked.to_json())))
    assert back == asked
    decision = decide(compiled, asked)
    assert decide(compiled, back) == decision
    assert Decision.from_json(json.loads(json.dumps(decision.to_json()))) == decision


weightings = (
    st.lists(st.integers(0, 100), min_size=2, max_size=5)
    .filter(any)
    .map(lambda parts: [part * 10_000 // sum(parts) for part in parts])
    .map(lambda parts: [*parts[:-1], 10_000 - sum(parts[:-1])])
)


@given(weightings, st.integers(0, 10_000), st.integers(0, 10_000), st.integers(0, 9_999))
@settings(max_examples=400)
def test_coverage__raised__reassigns_no_enrolled_bucket(
    weights: list[int], one: int, other: int, point: int
) -> None:
    low, high = sorted((one, other))
    before = [at for at, spans in enumerate(arm_ranges(weights, low)) if holds(spans, point)]
    after = [at for at, spans in enumerate(arm_ranges(weights, high)) if holds(spans, point)]
    assert len(after) <= 1
    assert before in ([], after)


@given(st.text(max_size=40), st.text(max_size=40))
def test_hash__salt_first__equals_the_hash_of_both(salt: str, value: str) -> None:
    assert bucket_after(salted(salt), value) == bucket(salt, value)
    assert fnv32a(salt + value) == fnv32a(value, fnv32a(salt))


def test_assignment__same_unit__is_sticky_across_surfaces_revisions_and_other_rules() -> None:
    bare = ruleset(shared_section(experiments=[experiment()]), surface_section())
    crowded = ruleset(
        shared_section(experiments=[experiment("another"), experiment()]),
        surface_section(overrides=[override("p", "pin", "a")]),
        surface_section("search"),
        revision=9,
    )
    for number in range(500):
        here = assign(bare, request(user=f"u{number}"))
        there = assign(crowded, request(user=f"u{number}", surface="search"))
        assert here[0] == there[1]


def test_assignment__of_two_experiments__is_independent() -> None:
    compiled = ruleset(shared_section(experiments=[experiment("one"), experiment("two")]), surface_section())
    counts = Counter(
        tuple(one.arm for one in assign(compiled, request(user=f"user-{number}"))) for number in range(20_000)
    )
    expected = 20_000 / 4
    chi_square = sum((counts[pair] - expected) ** 2 / expected for pair in counts)
    assert len(counts) == 4
    assert chi_square < 16.27  # 3 degrees of freedom, 0.001


def test_decide__on_a_request_that_is_none_of_ours__answers() -> None:
    compiled = ruleset(shared_section(), surface_section())
    nonsense = Request(surface=None, at=None, unit_ids=None, context=[], candidates=None, slots=-1)  # type: ignore[arg-type]  # junk on purpose
    assert decide(compiled, nonsense).reasons == ("invalid_at", "invalid_candidates", "unknown_surface")
    assert AT.endswith("Z")
