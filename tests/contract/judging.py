"""Sends one call as one person and says what is wrong with what happened."""

from __future__ import annotations

import json
from typing import Any

from django.test import Client

from controlplane.core import permissions
from tests.contract.ledger import Changes, watch
from tests.contract.recipes import Call, Recipe
from tests.contract.routes import Route


def permitted(role: str | None, operation: str) -> bool:
    """What the table of roles says."""
    return role is not None and permissions.allows(role, operation)


def send(client: Client, route: Route, call: Call, *, if_match: str | None = None) -> Any:
    """The answer to the call. `if_match` replaces the version the call names; an empty one leaves the header out."""
    path = route.path
    for name, value in call.parameters.items():
        path = path.replace(f"{{{name}}}", value)
    seen = if_match if if_match is not None else ("" if call.if_match is None else f'"{call.if_match}"')
    headers = {"If-Match": seen} if seen else {}
    body = (
        call.body
        if isinstance(call.body, str | bytes)
        else json.dumps({} if call.body is None else call.body)
    )
    return client.generic(route.method, path, body, content_type=call.content_type, headers=headers)


def untouched(changes: Changes) -> list[str]:
    """What a call that must not change anything did change."""
    found = [f"changed {table}" for table in changes.tables]
    return found + [f"wrote the audit event {event.operation}" for event in changes.audit]


def refused(
    client: Client, route: Route, recipe: Recipe, call: Call, *, code: str = "forbidden"
) -> list[str]:
    """Faults of a refusal: it answers 403, changes nothing anywhere, and leaves one line in the security log."""
    with watch() as changes:
        answer = send(client, route, call)
    found = untouched(changes)
    if answer.status_code != 403:
        found.append(f"answered {answer.status_code} instead of 403: {answer.content[:300]!r}")
    elif answer.json()["code"] != code:
        found.append(f"answered the code {answer.json()['code']}")
    lines = [(event.kind, event.operation) for event in changes.security]
    if lines != [("refused", recipe.operation)]:
        found.append(f"left the security log {lines}")
    return found


def waits(client: Client, route: Route, recipe: Recipe, call: Call) -> list[str]:
    """Faults of an operation that waits for a second person: a refusal that says so."""
    return refused(client, route, recipe, call, code="approval_required")


def done(client: Client, route: Route, recipe: Recipe, call: Call) -> list[str]:
    """Faults of a success: it answers 2xx, writes exactly one audit event, of its own name, and no security line."""
    with watch() as changes:
        answer = send(client, route, call)
    found = []
    if not 200 <= answer.status_code < 300:
        found.append(f"answered {answer.status_code}: {answer.content[:500]!r}")
    operations = [event.operation for event in changes.audit]
    if operations != [recipe.operation]:
        found.append(f"wrote the audit events {operations} instead of one {recipe.operation}")
    if changes.security:
        found.append(f"left {len(changes.security)} lines in the security log")
    return found


def kept(client: Client, route: Route, call: Call, *, if_match: str, status: int) -> list[str]:
    """Faults of an answer to a call with a wrong or absent `If-Match`: this status, and nothing changed."""
    with watch() as changes:
        answer = send(client, route, call, if_match=if_match)
    found = untouched(changes)
    if answer.status_code != status:
        found.append(f"answered {answer.status_code} instead of {status}: {answer.content[:300]!r}")
    return found
