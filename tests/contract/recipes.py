"""For every unsafe route: the operation it stands for, and a request that succeeds for whoever may send it.

A new route without a recipe here fails `test_permissions.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.contract.routes import Route
from tests.contract.worlds import World


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


def on(row: Any, body: Any = None) -> Call:
    """A write to one record, at the version it has now."""
    return Call(parameters={"key": row.key}, body=body, if_match=row.row_version)


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
}

# Routes that write no record: they take data in or answer without keeping anything, and leave no audit event.
STATELESS: dict[Route, Recipe] = {}
