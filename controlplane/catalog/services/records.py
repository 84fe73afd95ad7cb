"""Operations on surfaces and audiences: create, save a version, publish it in an environment, withdraw it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar

from controlplane.catalog import selectors
from controlplane.catalog.models import Audience, Environment, Surface
from controlplane.catalog.rules.contents import audience_content, surface_content
from controlplane.catalog.services.conditions import check_condition
from controlplane.core.actors import Actor
from controlplane.core.errors import Conflict, FieldError, InvalidInput
from controlplane.core.naming import KEY_PATTERN
from controlplane.core.operations import operation
from controlplane.core.records import Record
from controlplane.core.registry import register

R = TypeVar("R", Surface, Audience)


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
    with operation.create(
        "catalog.create_surface", by=actor, model=Surface, at=at, surfaces=[key]
    ) as created:
        _check_identity(key=key, title=title, owner=owner, note=note)
        whole = _surface(content, key)
        surface = created(Surface.objects.create(key=key, title=title, owner=owner, created_at=at))
        surface.add_version(whole, by=actor.name, at=at, note=note)
    return surface


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
    with operation("catalog.save_surface", surface, by=actor, at=at, expects=expects) as row:
        whole = None if content is None else _surface(content, row.key)
        _save(row, title=title, owner=owner, content=whole, actor=actor, at=at, note=note)
    return surface


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
    return _publish(
        "catalog.publish_surface", surface, environment=environment, version=version, actor=actor, at=at,
        expects=expects,
    )  # fmt: skip


@register("catalog.withdraw_surface", title="Take a surface out of an environment", publishes=True)
def withdraw_surface(
    surface: Surface, *, environment: str, actor: Actor, at: datetime, expects: int | None = None
) -> Surface:
    """Serve the surface no longer in the environment. Raises Conflict when it was not live there."""
    return _withdraw(
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
    with operation.create("catalog.create_audience", by=actor, model=Audience, at=at) as created:
        _check_identity(key=key, title=title, owner=owner, note=note)
        whole = _audience(content)
        audience = created(Audience.objects.create(key=key, title=title, owner=owner, created_at=at))
        audience.add_version(whole, by=actor.name, at=at, note=note)
    return audience


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
    with operation("catalog.save_audience", audience, by=actor, at=at, expects=expects) as row:
        whole = None if content is None else _audience(content)
        _save(row, title=title, owner=owner, content=whole, actor=actor, at=at, note=note)
    return audience


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
    return _publish(
        "catalog.publish_audience", audience, environment=environment, version=version, actor=actor, at=at,
        expects=expects,
    )  # fmt: skip


@register("catalog.withdraw_audience", title="Take an audience out of an environment", publishes=True)
def withdraw_audience(
    audience: Audience, *, environment: str, actor: Actor, at: datetime, expects: int | None = None
) -> Audience:
    """Serve the audience no longer in the environment. Raises Conflict when it was not live there."""
    return _withdraw(
        "catalog.withdraw_audience", audience, environment=environment, actor=actor, at=at, expects=expects
    )


def _surface(content: Mapping[str, Any], key: str) -> dict[str, Any]:
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


def _check_identity(*, key: str, title: str, owner: str, note: str) -> None:
    errors = _text_errors(title=title, owner=owner, note=note)
    if not re.fullmatch(KEY_PATTERN, key):
        errors.insert(
            0,
            FieldError(
                "key", "cannot be a key", "Use lower-case letters, digits, dots, dashes, underscores."
            ),
        )
    if errors:
        raise InvalidInput("The record is not valid.", errors=errors)


def _text_errors(*, title: str, owner: str, note: str) -> list[FieldError]:
    errors = [
        FieldError(name, "is empty or too long", "Write 1 to 160 characters.")
        for name, value in (("title", title), ("owner", owner))
        if not value.strip() or len(value) > 160
    ]
    if len(note) > 500:
        errors.append(FieldError("note", "is too long", "Keep to 500 characters."))
    return errors


def _save(
    row: Record,
    *,
    title: str | None,
    owner: str | None,
    content: Mapping[str, Any] | None,
    actor: Actor,
    at: datetime,
    note: str,
) -> None:
    row.title = row.title if title is None else title
    row.owner = row.owner if owner is None else owner
    errors = _text_errors(title=row.title, owner=row.owner, note=note)
    if errors:
        raise InvalidInput("The record is not valid.", errors=errors)
    row.save(update_fields=["title", "owner"])
    if content is not None:
        row.add_version(content, by=actor.name, at=at, note=note)


def _publish(
    name: str,
    record: R,
    *,
    environment: str,
    version: int | None,
    actor: Actor,
    at: datetime,
    expects: int | None,
) -> R:
    arguments = {"environment": environment, "version": version}
    with operation(
        name, record, by=actor, at=at, expects=expects, environment=environment, arguments=arguments
    ) as row:
        _known_environment(environment)
        chosen = row.newest() if version is None else row.versions.filter(number=version).first()
        if chosen is None:
            newest = row.newest()
            last = newest.number if newest else 0
            raise InvalidInput.on("version", f"there is no version {version}", f"Choose 1 to {last}.")
        row.point(environment, chosen, at=at)
    return record


def _withdraw(
    name: str, record: R, *, environment: str, actor: Actor, at: datetime, expects: int | None
) -> R:
    with operation(name, record, by=actor, at=at, expects=expects, environment=environment) as row:
        _known_environment(environment)
        if not row.unpoint(environment):
            raise Conflict(f"{row.key} is not live in {environment}.")
    return record


def _known_environment(key: str) -> None:
    if not Environment.objects.filter(key=key).exists():
        keys = ", ".join(selectors.environment_keys()) or "none yet"
        raise InvalidInput.on("environment", f"there is no environment {key!r}", f"There are: {keys}.")
