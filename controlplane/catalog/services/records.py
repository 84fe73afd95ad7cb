"""Operations on surfaces and audiences: create, save a version, publish it in an environment, withdraw it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Any

from controlplane.catalog import selectors
from controlplane.catalog.models import Audience, Surface
from controlplane.catalog.rules.contents import audience_content, surface_content
from controlplane.catalog.services.conditions import check_condition
from controlplane.core import record_operations
from controlplane.core.actors import Actor
from controlplane.core.errors import FieldError, InvalidInput
from controlplane.core.registry import register


@register("catalog.create_surface", title="Create a surface")
def create_surface(
    *,
    key: str,
    title: str,
    owner: str,
    content: Mapping[str, Any],
    actor: Actor,
    at: datetime,
    note: str = "",
) -> Surface:
    """A new surface with its first version, live nowhere yet. Raises InvalidInput, or Conflict when the key is taken."""
    return record_operations.create(
        "catalog.create_surface", Surface, key=key, title=title, owner=owner, content=content, note=note,
        judge=partial(_surface, key=key), actor=actor, at=at, surfaces=[key],
    )  # fmt: skip


@register("catalog.save_surface", title="Save a new version of a surface")
def save_surface(
    surface: Surface,
    *,
    actor: Actor,
    at: datetime,
    expects: int | None = None,
    title: str | None = None,
    owner: str | None = None,
    content: Mapping[str, Any] | None = None,
    note: str = "",
) -> Surface:
    """Add a version and change title and owner as given; what is live stays live. Raises InvalidInput."""
    return record_operations.save(
        "catalog.save_surface", surface, title=title, owner=owner, content=content, note=note,
        judge=partial(_surface, key=surface.key), actor=actor, at=at, expects=expects,
    )  # fmt: skip


@register("catalog.publish_surface", title="Put a surface live in an environment", publishes=True)
def publish_surface(
    surface: Surface,
    *,
    environment: str,
    actor: Actor,
    at: datetime,
    version: int | None = None,
    expects: int | None = None,
) -> Surface:
    """Make a version (the newest unless named) live in the environment. Raises InvalidInput when there is none such."""
    return record_operations.publish(
        "catalog.publish_surface", surface, environment=environment, version=version, actor=actor, at=at,
        expects=expects,
    )  # fmt: skip


@register("catalog.withdraw_surface", title="Take a surface out of an environment", publishes=True)
def withdraw_surface(
    surface: Surface, *, environment: str, actor: Actor, at: datetime, expects: int | None = None
) -> Surface:
    """Serve the surface no longer in the environment. Raises Conflict when it was not live there."""
    return record_operations.withdraw(
        "catalog.withdraw_surface", surface, environment=environment, actor=actor, at=at, expects=expects
    )


@register("catalog.create_audience", title="Create an audience")
def create_audience(
    *,
    key: str,
    title: str,
    owner: str,
    content: Mapping[str, Any],
    actor: Actor,
    at: datetime,
    note: str = "",
) -> Audience:
    """A new audience with its first version, live nowhere yet. Raises InvalidInput, or Conflict when the key is taken."""
    return record_operations.create(
        "catalog.create_audience", Audience, key=key, title=title, owner=owner, content=content, note=note,
        judge=_audience, actor=actor, at=at,
    )  # fmt: skip


@register("catalog.save_audience", title="Save a new version of an audience")
def save_audience(
    audience: Audience,
    *,
    actor: Actor,
    at: datetime,
    expects: int | None = None,
    title: str | None = None,
    owner: str | None = None,
    content: Mapping[str, Any] | None = None,
    note: str = "",
) -> Audience:
    """Add a version and change title and owner as given; what is live stays live. Raises InvalidInput."""
    return record_operations.save(
        "catalog.save_audience", audience, title=title, owner=owner, content=content, note=note,
        judge=_audience, actor=actor, at=at, expects=expects,
    )  # fmt: skip


@register("catalog.publish_audience", title="Put an audience live in an environment", publishes=True)
def publish_audience(
    audience: Audience,
    *,
    environment: str,
    actor: Actor,
    at: datetime,
    version: int | None = None,
    expects: int | None = None,
) -> Audience:
    """Make a version (the newest unless named) live in the environment. Raises InvalidInput when there is none such."""
    return record_operations.publish(
        "catalog.publish_audience", audience, environment=environment, version=version, actor=actor, at=at,
        expects=expects,
    )  # fmt: skip


@register("catalog.withdraw_audience", title="Take an audience out of an environment", publishes=True)
def withdraw_audience(
    audience: Audience, *, environment: str, actor: Actor, at: datetime, expects: int | None = None
) -> Audience:
    """Serve the audience no longer in the environment. Raises Conflict when it was not live there."""
    return record_operations.withdraw(
        "catalog.withdraw_audience", audience, environment=environment, actor=actor, at=at, expects=expects
    )


def _surface(content: Mapping[str, Any], *, key: str) -> dict[str, Any]:
    whole, errors = surface_content(content, key=key)
    if not errors and (missing := selectors.missing_surfaces(whole["fallback_chain"])):
        errors = [
            FieldError(
                "content.fallback_chain",
                f"there is no surface {', '.join(missing)}",
                "Name existing surfaces, or create them first.",
            )
        ]
    if errors:
        raise InvalidInput("The surface is not valid.", errors=errors)
    return whole


def _audience(content: Mapping[str, Any]) -> dict[str, Any]:
    whole, errors = audience_content(content)
    if errors:
        raise InvalidInput("The audience is not valid.", errors=errors)
    check_condition(whole["condition"], "request", "content.condition")
    return whole
