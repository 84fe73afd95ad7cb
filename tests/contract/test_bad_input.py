"""Bad input on every unsafe route: a problem that names the field and the remedy, never a 500, and nothing written."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.catalog import services as catalog
from tests.contract.conftest import Persona
from tests.contract.judging import untouched
from tests.contract.ledger import watch
from tests.contract.mutations import Mutation, broken_bytes, other_tops, wrong_fields
from tests.contract.recipes import RECIPES, STATELESS, Call
from tests.contract.routes import Route, api_routes
from tests.contract.worlds import ADMIN, CONTENTS, World

UNSAFE = [route for route in api_routes() if route.unsafe]
LINES = Route(
    "POST", "/api/v1/items/bulk"
)  # takes lines, not one document; tests/catalog/test_api.py has its bad input
DOCUMENTS = [route for route in UNSAFE if route != LINES]


def address(route: Route, call: Call) -> str:
    path = route.path
    for name, value in call.parameters.items():
        path = path.replace(f"{{{name}}}", value)
    return path


def request(client: Client, route: Route, call: Call, body: bytes, content_type: str, path: str = "") -> Any:
    seen = {} if call.if_match is None else {"If-Match": f'"{call.if_match}"'}
    return client.generic(
        route.method, path or address(route, call), body, content_type=content_type, headers=seen
    )


def problem_faults(answer: Any, statuses: Iterable[int]) -> list[str]:
    """What is wrong with an answer that should be a problem of one of these statuses."""
    if answer.status_code not in statuses:
        return [f"answered {answer.status_code}: {answer.content[:200]!r}"]
    if answer["Content-Type"] != "application/problem+json":
        return [f"is {answer['Content-Type']}"]
    problem = json.loads(answer.content)
    missing = {"type", "title", "status", "detail", "code", "request_id"} - problem.keys()
    found = [f"lacks {name}" for name in sorted(missing)]
    if problem["status"] != answer.status_code or not problem["detail"]:
        found.append(f"says {problem['status']}, {problem['detail']!r}")
    found += [f"no remedy: {error}" for error in problem.get("errors", []) if not error["remedy"]]
    if len(answer.content) > 20_000:
        found.append(f"echoes {len(answer.content)} bytes")
    return found


def names_field(answer: Any, field: str) -> list[str]:
    """Whether some complaint is about the field, or about something it stands in, or within it."""
    named = [error["field"] for error in json.loads(answer.content).get("errors", [])]
    if any(one and (field.startswith(one) or one.startswith(field)) for one in named):
        return []
    return [f"names {named} and not {field}"]


def faults(client: Client, route: Route, call: Call, mutations: Iterable[Mutation]) -> dict[str, list[str]]:
    """Mutation -> what was wrong with its answer; and what the whole series left behind."""
    found: dict[str, list[str]] = {}
    with watch() as changes:
        for one in mutations:
            answer = request(client, route, call, one.body, one.content_type)
            said = problem_faults(answer, one.statuses)
            if not said and one.field:
                said = names_field(answer, one.field)
            if said:
                found[one.name] = said
    left = untouched(changes)
    return {**found, **({"left behind": left} if left else {})}


@pytest.mark.parametrize("route", DOCUMENTS, ids=str)
def test_body__spoilt_in_every_way__is_a_problem_and_nothing_is_written(
    route: Route, world: World, person: Persona
) -> None:
    call = {**RECIPES, **STATELESS}[route].arrange(world)
    good = {} if call.body is None else call.body
    mutations = [*broken_bytes(good), *other_tops(), *wrong_fields(good)]

    assert faults(person("admin"), route, call, mutations) == {}


LINES_FAULTS = [
    ("", 400),
    (b"\xff\xfe\n", 200),
    (b"[1]\n", 200),
    (b'{"item_id": "a", "item_id": "b"}\n', 200),
    (b'{"item_id": "a\\u0000"}\n', 200),
    (b'{"item_id": "a", "attributes": ' + b"[" * 1_000 + b"]" * 1_000 + b"}\n", 200),
    (b'{"item_id": "a", "colour_of_the_sky": 1}\n', 200),
    (b'{"item_id": "a", "signals": {"toxicity": NaN}}\n', 200),
    (b'{"item_id": 7}\n', 200),
]


@pytest.mark.parametrize(("body", "status"), LINES_FAULTS)
def test_bulk__a_bad_line__is_told_with_its_field_and_writes_no_item(
    body: bytes, status: int, person: Persona
) -> None:
    with watch() as changes:
        answer = person("admin").generic("POST", LINES.path, body, content_type="application/x-ndjson")

    assert answer.status_code == status
    assert "catalog_item" not in changes.tables
    if status == 200:
        told = json.loads(answer.content)
        assert (told["refused"], told["created"], told["updated"]) == (1, 0, 0)
        assert told["errors"][0]["reason"] != ""
        assert told["errors"][0]["remedy"] != ""


ARMS = [{"key": "control", "weight": 5000}, {"key": "treatment", "weight": 4000}]
LATER, EARLIER = "2027-01-02T00:00:00Z", "2027-01-01T00:00:00Z"
MEANINGLESS: list[tuple[str, str, dict[str, Any], str, str]] = [
    ("experiments", "experiment", {"arms": ARMS}, "content.arms", "sum to 10000"),
    ("experiments", "experiment", {"arms": [{"key": "a", "weight": 10000}]}, "content.arms", "control first"),
    ("experiments", "experiment", {"primary_metric": "nothing"}, "content.metrics", "existing metric"),
    ("experiments", "experiment", {"audience": "nobody"}, "content.audience", "existing audience"),
    ("experiments", "experiment", {"surfaces": ["nowhere"]}, "content.surfaces", "existing surface"),
    ("experiments", "experiment", {"condition": {"contry": "DE"}}, "content.condition.contry", "country"),
    ("experiments", "experiment", {"planned_end": "tomorrow"}, "content.planned_end", "+01:00"),
    (
        "experiments", "experiment", {"planned_end": "0001-01-01T00:00:00+14:00"}, "content.planned_end", "1 to 9999",
    ),
    ("overrides", "override", {"windows": [[LATER, EARLIER]]}, "content.windows.0", "earlier"),
    ("overrides", "override", {"windows": [["2027-01-01T00:00:00", None]]}, "content.windows.0.0", "offset"),
    ("overrides", "override", {"windows": [[None, "9999-12-31T23:59:59-14:00"]]}, "content.windows.0.1", "9999"),
    ("overrides", "override", {"surfaces": ["nowhere"]}, "content.surfaces", "surface"),
    ("overrides", "override", {"condition": {"brnad": "x"}}, "content.condition.brnad", "brand"),
    ("overrides", "override", {"condition": {"brand": {"$regx": "x"}}}, "content.condition.brand", ""),
    ("overrides", "override", {"factor": 0.5}, "content.factor", "1 to 100"),
    ("overrides", "override", {"tpye": "boost"}, "content.tpye", "type"),
    ("overrides", "override", {"when": {"audience": "nobody"}}, "content.when.audience", "audience"),
    ("guardrails", "guardrail", {"signal": "toxicty"}, "content.signal", "toxicity"),
    ("guardrails", "guardrail", {"surfaces": ["nowhere"]}, "content.surfaces", "surface"),
    ("audiences", "audience", {"condition": {"contry": "DE"}}, "content.condition.contry", "country"),
    ("surfaces", "surface", {"slots": 0}, "content.slots", "1"),
    ("metrics", "metric", {"aggregation": "sum"}, "content.aggregation", "any"),
]  # fmt: skip


@pytest.fixture
def known_words(world: World, person: Persona) -> Client:
    """An admin in a world whose items have a brand and a toxicity."""
    admin = person("admin")
    line = {"item_id": "a", "attributes": {"brand": "x"}, "signals": {"toxicity": 0.1}}
    admin.generic("POST", LINES.path, json.dumps(line), content_type="application/x-ndjson")
    world.metric("purchase")
    world.production()
    catalog.create_attribute(subject="request", name="country", type="string", actor=ADMIN, at=world.at)
    return admin


def test_content__without_meaning__names_the_field_and_the_remedy(known_words: Client) -> None:
    found = {}
    with watch() as changes:
        for path, kind, fields, field, hint in MEANINGLESS:
            content = {**CONTENTS[kind], **fields}
            body = {"key": "new", "title": "New", "owner": "me", "content": content}
            answer = known_words.post(f"/api/v1/{path}", body, content_type="application/json")
            said = problem_faults(answer, (400,)) or names_field(answer, field)
            remedies = " ".join(error["remedy"] for error in json.loads(answer.content).get("errors", []))
            if said or hint not in remedies:
                found[f"{path} {fields}"] = [*said, remedies]

    assert found == {}
    assert untouched(changes) == []


KEYS = [
    "",
    " ",
    "UPPER",
    "a b",
    "-a",
    "a-",
    "a/b",
    "..",
    "é",
    "ключ",
    "a\nb",
    "a" * 65,
    "a'; DROP TABLE x",
    "<b>",
    "%s",
]


@pytest.mark.parametrize(
    "path",
    ["environments", "surfaces", "audiences", "experiments", "overrides", "guardrails", "metrics", "tokens"],
)
def test_key__with_odd_characters__is_refused(path: str, world: World, person: Persona) -> None:
    client = person("admin")
    call = RECIPES[Route("POST", f"/api/v1/{path}")].arrange(world)
    found = {}
    with watch() as changes:
        for key in KEYS:
            answer = client.post(
                f"/api/v1/{path}", {**call.body, "key": key}, content_type="application/json"
            )
            said = problem_faults(answer, (400,)) or names_field(answer, "key")
            if said:
                found[key] = said

    assert found == {}
    assert untouched(changes) == []


TIMES = [
    ("/api/v1/tokens", "expires_at", "2001-01-01T00:00:00Z"),
    ("/api/v1/tokens", "expires_at", "0001-01-01T00:00:00+14:00"),
    ("/api/v1/holds", "expires_at", "2001-01-01T00:00:00Z"),
    ("/api/v1/holds", "expires_at", "soon"),
    ("/api/v1/experiments/{key}/analyse", "as_of", "2199-01-01T00:00:00Z"),
    ("/api/v1/experiments/{key}/analyse", "as_of", "2001-01-01T00:00:00Z"),
    ("/api/v1/retention/{key}", "days", 0),
    ("/api/v1/retention/{key}", "days", 2**62),
]


@pytest.mark.parametrize(("path", "field", "value"), TIMES)
def test_time__of_a_skewed_clock__is_refused(
    path: str, field: str, value: Any, world: World, person: Persona
) -> None:
    route = next(route for route in UNSAFE if route.path == path)
    call = RECIPES[route].arrange(world)
    body = json.dumps({**call.body, field: value}).encode()

    assert faults(person("admin"), route, call, [Mutation(str(value), body, field)]) == {}


ODD = [
    "%00",
    "a%00b",
    "..",
    "%2e%2e",
    "a%2Fb",
    "%E2%98%83",
    "%FF%FE",
    "a%0Ab",
    "x" * 3_000,
    "%20",
    "'--",
    "9" * 40,
]


@pytest.mark.parametrize("route", [route for route in UNSAFE if "{" in route.path], ids=str)
def test_address__of_nothing__is_a_problem(route: Route, world: World, person: Persona) -> None:
    client, call = person("admin"), RECIPES[route].arrange(world)
    body = json.dumps(call.body or {}).encode()
    found = {}
    with watch() as changes:
        for odd in ODD:
            path = re.sub(r"\{\w+\}", odd, route.path)
            answer = request(client, route, call, body, "application/json", path)
            said = problem_faults(answer, (400, 404, 405))
            if said:
                found[odd] = said

    assert found == {}
    assert untouched(changes) == []


QUERIES = [
    "page=abc", "page=0", "page=-1", "page=1e9", f"page={'9' * 40}", "page=%D9%A3", "page_size=1e9", "page_size=-1",
    "page_size=1000000000", "page_size=", "page=%00", "environment=%00", "environment=nowhere", "environment=%FF",
    "subject=%00", f"subject={'x' * 9000}", "severity=loud", "q=%00", "q=%25%5C_", f"q={'x' * 300}", "since=yesterday",
    "since=99999-01-01", "available=maybe", "all=%FF", "kind=x", "operation=x", "actor_id=%E2%98%83", "a%00b=1",
    "provider=%F0%9F%92%A9", "deleted=1", "code=x", "environment=a&environment=b", "=", "&&&", "%",
]  # fmt: skip


def test_query__odd__never_breaks_a_list(world: World, person: Persona) -> None:
    client = person("admin")
    for route in (Route("POST", f"/api/v1/{path}") for path in ("experiments", "overrides", "holds")):
        request(
            client,
            route,
            call := RECIPES[route].arrange(world),
            json.dumps(call.body).encode(),
            "application/json",
        )
    found = {}
    for path in sorted({route.path for route in api_routes() if route.method == "GET"}):
        filled = re.sub(
            r"\{(environment|key)\}", "production", re.sub(r"\{(pk|id|number|before|after)\}", "1", path)
        )
        for query in QUERIES:
            answer = client.get(f"{filled}?{query}")
            if answer.status_code == 200:
                continue
            said = problem_faults(answer, (400, 404))
            if said:
                found[f"{path}?{query[:40]}"] = said

    assert found == {}


DOCUMENT = json.loads(
    (Path(__file__).resolve().parents[2] / "docs" / "openapi.json").read_text(encoding="utf-8")
)
SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
    | st.sampled_from(["production", "user", "a", "2026-12-01T08:00:00Z", "$regex", "item.brand"])
)  # fmt: skip
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=8,
)


def by_schema(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values of the schema, more or less: each place may hold anything at all instead."""
    if "$ref" in schema:
        schema = DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if "allOf" in schema or "oneOf" in schema:
        return st.one_of(*(by_schema(one) for one in schema.get("allOf", []) + schema.get("oneOf", [])))
    if "enum" in schema:
        return st.sampled_from(schema["enum"]) | SCALARS
    kind = schema.get("type")
    if kind == "object" and "properties" in schema:
        fields = {name: by_schema(one) for name, one in schema["properties"].items()}
        return st.fixed_dictionaries({}, optional=fields)
    if kind == "array":
        return st.lists(by_schema(schema["items"]), max_size=4) | ANYTHING
    return ANYTHING


def mutated(good: Any, schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Bodies by the schema alone, and the good body with fields and content replaced."""
    made = by_schema(schema)
    if not isinstance(good, dict):
        return made | ANYTHING
    inner = good.get("content")
    content = (
        st.dictionaries(st.sampled_from(sorted(inner)), ANYTHING, min_size=1).map(
            lambda one: {"content": {**inner, **one}}
        )
        if isinstance(inner, dict)
        else st.just({})
    )
    return st.one_of(made, st.builds(lambda new: {**good, **new}, made.filter(lambda one: isinstance(one, dict))),
                     content.map(lambda new: {**good, **new}))  # fmt: skip


WITH_BODY = [
    (
        route,
        DOCUMENT["paths"][route.path.replace("{pk}", "{id}")][route.method.lower()]["requestBody"]["content"],
    )
    for route in DOCUMENTS
    if "requestBody" in DOCUMENT["paths"][route.path.replace("{pk}", "{id}")][route.method.lower()]
]


@pytest.mark.parametrize(("route", "contents"), WITH_BODY, ids=str)
def test_body__any_json__is_done_or_a_problem(
    route: Route, contents: dict[str, Any], world: World, person: Persona
) -> None:
    client, call = person("admin"), RECIPES[route].arrange(world)
    refusals = (400, 403, 409, 412) if RECIPES[route].needs_approval else (400, 409, 412)
    statuses: Counter[int] = Counter()

    @settings(max_examples=25, deadline=None, derandomize=True, database=None)
    @given(body=mutated(call.body, contents["application/json"]["schema"]))
    def holds(body: Any) -> None:
        answer = request(client, route, call, json.dumps(body).encode(), "application/json")
        statuses[answer.status_code] += 1
        if answer.status_code >= 300:
            assert problem_faults(answer, refusals) == [], body

    holds()
    assert statuses[400] >= 5
