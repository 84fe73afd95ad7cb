"""Which environments a caller may read: a token made for one reads no other's."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from rest_framework.request import Request

from controlplane.core.actors import Actor
from controlplane.core.api.authentication import actor_of
from controlplane.core.errors import Forbidden, InvalidInput


def asked_environment(request: Request) -> str:
    """The environment a list is narrowed to: the one asked for, and never another than the caller's token is for."""
    own = actor_of(request).environment or ""
    asked = request.query_params.get("environment", "")
    if own and asked and asked != own:
        raise InvalidInput.on("environment", f"this token is for {own}", "Use a token of that environment.")
    return own or asked


def check_reads(request: Request, environment: str) -> str:
    """The environment, which the address names. Raises Forbidden when the caller's token is for another."""
    own = actor_of(request).environment
    if own and environment != own:
        raise Forbidden(f"This token is for {own}.")
    return environment


def within_reach(rows: QuerySet[Any], request: Request) -> QuerySet[Any]:
    """Of rows that may belong to no environment, those of the caller's own and of none."""
    actor = Actor.behind(request.user)
    own = actor.environment if actor else None
    return rows.filter(environment__in=["", own]) if own else rows
