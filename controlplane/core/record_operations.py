"""What creating, saving, publishing and withdrawing mean for every kind of record; each app names its own operations.

The app's operation stays one function of its own; it hands these its name, its model and the judge of its content.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, TypeVar

from django.conf import settings
from django.utils.module_loading import import_string

from controlplane.core.actors import Actor
from controlplane.core.errors import Conflict, FieldError, InvalidInput
from controlplane.core.naming import KEY_PATTERN
from controlplane.core.operations import operation
from controlplane.core.records import Record

R = TypeVar("R", bound=Record)
Judge = Callable[[Mapping[str, Any]], dict[str, Any]]
"""Turns content as given into content as stored; raises InvalidInput naming every field that is wrong."""


def create(
    name: str,
    model: type[R],
    *,
    key: str,
    title: str,
    owner: str,
    content: Mapping[str, Any],
    judge: Judge,
    actor: Actor,
    at: datetime,
    note: str = "",
    surfaces: Iterable[str] = (),
    **fields: Any,
) -> R:
    """A new record with its first version, live nowhere. Raises InvalidInput, or Conflict when the key is taken."""
    with operation.create(name, by=actor, model=model, at=at, surfaces=surfaces) as created:
        check_identity(key=key, title=title, owner=owner, note=note)
        whole = judge(content)
        record = created(
            model._default_manager.create(key=key, title=title, owner=owner, created_at=at, **fields)
        )
        record.add_version(whole, by=actor.name, at=at, note=note)
    return record


def save(
    name: str,
    record: R,
    *,
    judge: Judge,
    actor: Actor,
    at: datetime,
    expects: int | None = None,
    title: str | None = None,
    owner: str | None = None,
    content: Mapping[str, Any] | None = None,
    note: str = "",
    surfaces: Iterable[str] = (),
    allowed: Callable[[R, dict[str, Any] | None], None] | None = None,
) -> R:
    """Add a version and change title and owner as given; what is live stays live. Raises InvalidInput.

    `allowed` may refuse the change in the record's present state; it gets the locked record and the judged content.
    """
    with operation(name, record, by=actor, at=at, expects=expects, surfaces=surfaces) as row:
        whole = None if content is None else judge(content)
        if allowed is not None:
            allowed(row, whole)
        row.title = row.title if title is None else title
        row.owner = row.owner if owner is None else owner
        errors = _text_errors(title=row.title, owner=row.owner, note=note)
        if errors:
            raise InvalidInput("The record is not valid.", errors=errors)
        row.save(update_fields=["title", "owner"])
        if whole is not None:
            row.add_version(whole, by=actor.name, at=at, note=note)
    return record


def publish(
    name: str,
    record: R,
    *,
    environment: str,
    actor: Actor,
    at: datetime,
    version: int | None = None,
    expects: int | None = None,
    allowed: Callable[[R, Any], None] | None = None,
) -> R:
    """Make a version (the newest unless named) live in the environment. Raises InvalidInput when there is none such.

    `allowed` may refuse; it gets the locked record and the chosen version.
    """
    arguments = {"environment": environment, "version": version}
    with operation(
        name, record, by=actor, at=at, expects=expects, environment=environment, arguments=arguments
    ) as row:
        check_environment(environment)
        chosen = row.newest() if version is None else row.versions.filter(number=version).first()
        if chosen is None:
            newest = row.newest()
            raise InvalidInput.on(
                "version", f"there is no version {version}", f"Choose 1 to {newest.number if newest else 0}."
            )
        if allowed is not None:
            allowed(row, chosen)
        row.point(environment, chosen, at=at)
    return record


def withdraw(
    name: str, record: R, *, environment: str, actor: Actor, at: datetime, expects: int | None = None
) -> R:
    """Serve the record no longer in the environment. Raises Conflict when it was not live there."""
    with operation(name, record, by=actor, at=at, expects=expects, environment=environment) as row:
        check_environment(environment)
        if not row.unpoint(environment):
            raise Conflict(f"{row.key} is not live in {environment}.")
    return record


def check_environment(key: str) -> None:
    """Raises InvalidInput when there is no such environment."""
    known = [row["key"] for row in import_string(settings.ENVIRONMENTS)()] if settings.ENVIRONMENTS else [key]
    if key not in known:
        raise InvalidInput.on(
            "environment", f"there is no environment {key!r}", f"There are: {', '.join(known) or 'none yet'}."
        )


def check_identity(*, key: str, title: str, owner: str, note: str) -> None:
    """Raises InvalidInput naming every part of the identity that is wrong."""
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
