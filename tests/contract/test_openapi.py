"""docs/openapi.json is what the code serves, and says of every route what it takes and answers."""

import json
from pathlib import Path
from typing import Any

from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiJsonRenderer

from tests.contract.routes import api_routes

COMMITTED = Path(__file__).resolve().parents[2] / "docs" / "openapi.json"


def generated() -> dict[str, Any]:
    schema = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    document: dict[str, Any] = json.loads(OpenApiJsonRenderer().render(schema, renderer_context={}))
    return document


def differences(old: Any, new: Any, path: str = "") -> list[str]:
    """Where two JSON documents differ, as paths; at most one line per difference."""
    if isinstance(old, dict) and isinstance(new, dict):
        found = []
        for key in sorted(old.keys() | new.keys()):
            place = f"{path}/{key}"
            if key not in old or key not in new:
                found.append(f"{place}: {'added' if key in new else 'removed'}")
            else:
                found += differences(old[key], new[key], place)
        return found
    return [] if old == new else [f"{path}: changed"]


def undescribed(document: dict[str, Any]) -> list[str]:
    """Operations without an answer, and writes to one record that do not ask for If-Match."""
    found = []
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            successes = [code for code in operation["responses"] if code.startswith("2")]
            if not successes:
                found.append(f"{method.upper()} {path}: no successful answer described")
    return found


def test_openapi__as_committed__equals_what_the_code_serves() -> None:
    committed = json.loads(COMMITTED.read_text(encoding="utf-8"))

    assert differences(committed, generated()) == [], "make openapi, and read the difference"


def test_openapi__every_route_of_the_url_configuration__is_in_it() -> None:
    paths = generated()["paths"]
    described = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    served = {(route.method, route.path.replace("{pk}", "{id}")) for route in api_routes()}
    served.discard(("GET", "/api/v1/openapi.json"))

    assert len(served) > 20
    assert served - described == set()


def test_openapi__every_operation__describes_its_answer() -> None:
    assert undescribed(generated()) == []


def test_differences__a_removed_field_and_a_changed_type__are_named() -> None:
    old = {"paths": {"/a": {"get": {}}}, "info": {"version": "1"}}
    new = {"paths": {"/b": {"get": {}}}, "info": {"version": "2"}}

    assert differences(old, new) == ["/info/version: changed", "/paths//a: removed", "/paths//b: added"]


def test_undescribed__an_operation_without_answer__is_named() -> None:
    document: dict[str, Any] = {
        "paths": {"/a": {"post": {"responses": {"400": {}}}, "get": {"responses": {"200": {}}}}}
    }

    assert undescribed(document) == ["POST /a: no successful answer described"]
