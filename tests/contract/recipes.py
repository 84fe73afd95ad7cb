"""For every unsafe route: the operation it stands for, and a request that succeeds for whoever may send it.

A new route without a recipe here fails `test_permissions.py`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from controlplane.catalog import services as catalog
from controlplane.rulesets import services as rulesets
from governance.guardrails import services as guardrails
from overrides import services as overrides
from tests.contract.routes import Route
from tests.contract.worlds import ADMIN, World


@dataclass(frozen=True)
class Call:
    """One request: the path's parameters, the body, and the version seen, for a write to a record."""

    parameters: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    if_match: int | None = None
    content_type: str = "application/json"


@dataclass(frozen=True)
class Recipe:
    """What a route does, and how to make it possible."""

    operation: str
    arrange: Callable[[World], Call]
    needs_approval: bool = False
    """A policy asks for a second person, whoever sends it."""


def on(row: Any, body: Any = None) -> Call:
    """A write to one record, at the version it has now."""
    return Call(parameters={"key": row.key}, body=body, if_match=row.row_version)


def record_routes(
    path: str,
    app: str,
    kind: str,
    make: Callable[[World], Any],
    publish: Callable[..., Any],
    *,
    guarded: bool = False,
) -> dict[Route, Recipe]:
    """The five unsafe routes every publishable record has. `guarded`: withdrawing takes two people."""
    address = f"/api/v1/{path}"

    def published(world: World) -> Call:
        row = make(world)
        return on(row, {"environment": world.production()})

    def withdrawn(world: World) -> Call:
        return on(world.live(make(world), publish), {"environment": world.production()})

    return {
        Route("POST", address): Recipe(f"{app}.create_{kind}", lambda world: Call(body=world.identity(kind))),
        Route("PATCH", f"{address}/{{key}}"): Recipe(
            f"{app}.save_{kind}", lambda world: on(make(world), {"title": "Renamed"})
        ),
        Route("POST", f"{address}/{{key}}/publish"): Recipe(f"{app}.publish_{kind}", published),
        Route("POST", f"{address}/{{key}}/withdraw"): Recipe(
            f"{app}.withdraw_{kind}", withdrawn, needs_approval=guarded
        ),
    }


def _experiment(world: World) -> Call:
    world.metric("purchase")
    return Call(body=world.identity("experiment"))


def _hold(world: World) -> Call:
    standing = world.hold()
    rulesets.release_hold(hold=standing, actor=ADMIN, at=world.at)
    revision = world.revision()
    return Call(
        body={
            "environment": revision.environment,
            "from_revision": revision.number,
            "sources": ["overrides"],
            "reason": "wrong prices",
            "expires_at": (world.at + timedelta(days=1)).isoformat(),
        }
    )


def _release(world: World) -> Call:
    hold = world.hold()
    return Call(parameters={"pk": str(hold.pk)}, if_match=hold.row_version)


def _switch(world: World) -> Call:
    return Call(
        body={
            "key": world.key("switch"),
            "environment": world.production(),
            "kind": "block_items",
            "items": ["item-9"],
            "reason": "recall",
        }
    )


def _items(world: World) -> Call:
    line = json.dumps({"item_id": world.key("item"), "title": "A thing"})
    return Call(body=line + "\n", content_type="application/x-ndjson")


def _attribute(world: World) -> Call:
    name = world.key("colour").replace("-", "_")
    return Call(body={"subject": "item", "name": name, "type": "string"})


def _retention(world: World) -> Call:
    rule = world.retention()
    return Call(parameters={"key": rule.type}, body={"days": 30}, if_match=rule.row_version)


RECIPES: dict[Route, Recipe] = {
    Route("POST", "/api/v1/tokens"): Recipe(
        "core.create_token",
        lambda world: Call(
            body={"key": world.key("token"), "name": "A program", "scopes": ["rest"], "roles": ["viewer"]}
        ),
    ),
    Route("POST", "/api/v1/tokens/{key}/rotate"): Recipe(
        "core.rotate_token", lambda world: on(world.token())
    ),
    Route("POST", "/api/v1/tokens/{key}/revoke"): Recipe(
        "core.revoke_token", lambda world: on(world.token())
    ),
    Route("POST", "/api/v1/environments"): Recipe(
        "catalog.create_environment",
        lambda world: Call(body={"key": world.key("environment"), "name": "Another"}),
    ),
    Route("PATCH", "/api/v1/environments/{key}"): Recipe(
        "catalog.save_environment", lambda world: on(world.environment(), {"name": "Renamed"})
    ),
    Route("POST", "/api/v1/attributes"): Recipe("catalog.create_attribute", _attribute),
    Route("PATCH", "/api/v1/attributes/{key}"): Recipe(
        "catalog.save_attribute", lambda world: on(world.attribute(), {"description": "Of the cover"})
    ),
    Route("POST", "/api/v1/items/bulk"): Recipe("catalog.upsert_items", _items),
    **record_routes("surfaces", "catalog", "surface", World.surface, catalog.publish_surface),
    **record_routes("audiences", "catalog", "audience", World.audience, catalog.publish_audience),
    **record_routes("overrides", "overrides", "override", World.override, overrides.publish_override),
    **record_routes(
        "guardrails", "guardrails", "guardrail", World.guardrail, guardrails.publish_guardrail, guarded=True
    ),
    Route("POST", "/api/v1/kill-switches"): Recipe("guardrails.throw_kill_switch", _switch),
    Route("POST", "/api/v1/kill-switches/{key}/release"): Recipe(
        "guardrails.release_kill_switch", lambda world: on(world.kill_switch()), needs_approval=True
    ),
}

RECIPES |= {
    Route("POST", "/api/v1/metrics"): Recipe(
        "evidence.create_metric",
        lambda world: Call(body={**world.identity("metric"), "environment": world.production()}),
    ),
    Route("PATCH", "/api/v1/metrics/{key}"): Recipe(
        "evidence.save_metric",
        lambda world: on(world.metric(), {"title": "Renamed", "environment": world.production()}),
    ),
    Route("POST", "/api/v1/experiments"): Recipe("experiments.create_experiment", _experiment),
    Route("PATCH", "/api/v1/experiments/{key}"): Recipe(
        "experiments.save_experiment", lambda world: on(world.experiment(), {"title": "Renamed"})
    ),
    Route("POST", "/api/v1/experiments/{key}/start"): Recipe(
        "experiments.start_experiment",
        lambda world: on(world.experiment(), {"environment": world.production()}),
    ),
    Route("POST", "/api/v1/experiments/{key}/ramp"): Recipe(
        "experiments.ramp_experiment",
        lambda world: on(world.running(), {"environment": world.production(), "coverage": 9000}),
    ),
    Route("POST", "/api/v1/experiments/{key}/stop"): Recipe(
        "experiments.stop_experiment", lambda world: on(world.running(), {"environment": world.production()})
    ),
    Route("POST", "/api/v1/experiments/{key}/analyse"): Recipe(
        "evidence.run_analysis", lambda world: on(world.running(), {"environment": world.production()})
    ),
    Route("POST", "/api/v1/rulesets/{environment}/publish"): Recipe(
        "rulesets.publish", lambda world: Call(parameters={"environment": world.production()})
    ),
    Route("POST", "/api/v1/holds"): Recipe("rulesets.set_hold", _hold),
    Route("POST", "/api/v1/holds/{pk}/release"): Recipe("rulesets.release_hold", _release),
}

RECIPES |= {
    Route("POST", "/api/v1/quarantine/redrive"): Recipe(
        "events.redrive", lambda world: Call(body={"environment": world.production()})
    ),
    Route("POST", "/api/v1/erasures"): Recipe(
        "events.request_erasure",
        lambda world: Call(
            body={"environment": world.production(), "id": "user-1", "reason": "asked by letter"}
        ),
    ),
    Route("PUT", "/api/v1/retention/{key}"): Recipe("events.set_retention", _retention),
}

# Routes that write no record: they take data in or answer without keeping anything, and leave no audit event.
STATELESS: dict[Route, Recipe] = {}
