"""Operations on environments."""

from __future__ import annotations

import re
from datetime import datetime

from controlplane.catalog.models import Environment
from controlplane.catalog.models.environments import COLOUR_PATTERN
from controlplane.core.actors import Actor
from controlplane.core.errors import FieldError, InvalidInput
from controlplane.core.naming import KEY_PATTERN
from controlplane.core.operations import operation
from controlplane.core.registry import register


@register("catalog.create_environment", title="Create an environment")
def create_environment(
    *,
    key: str,
    name: str,
    actor: Actor,
    at: datetime,
    kind: str = Environment.Kind.STAGING,
    colour: str = "#4b5563",
    protected: bool = False,
) -> Environment:
    """A new, empty environment. Raises InvalidInput, or Conflict when the key is taken."""
    with operation.create(
        "catalog.create_environment", by=actor, model=Environment, at=at, environment=key
    ) as created:
        _check(key=key, name=name, kind=kind, colour=colour)
        return created(
            Environment.objects.create(
                key=key, name=name, kind=kind, colour=colour, protected=protected, created_at=at
            )
        )


@register("catalog.save_environment", title="Change an environment")
def save_environment(
    environment: Environment,
    *,
    actor: Actor,
    at: datetime,
    expects: int | None = None,
    name: str | None = None,
    kind: str | None = None,
    colour: str | None = None,
    protected: bool | None = None,
) -> Environment:
    """Change what is given. The key stays for ever. Raises InvalidInput."""
    with operation(
        "catalog.save_environment",
        environment,
        by=actor,
        at=at,
        expects=expects,
        environment=environment.key,
    ) as row:
        row.name = row.name if name is None else name
        row.kind = row.kind if kind is None else kind
        row.colour = row.colour if colour is None else colour
        row.protected = row.protected if protected is None else protected
        _check(key=row.key, name=row.name, kind=row.kind, colour=row.colour)
        row.save(update_fields=["name", "kind", "colour", "protected"])
    return environment


def _check(*, key: str, name: str, kind: str, colour: str) -> None:
    errors = []
    if not re.fullmatch(KEY_PATTERN, key):
        errors.append(
            FieldError("key", "cannot be a key", "Use lower-case letters, digits, dots, dashes, underscores.")
        )
    if not name.strip() or len(name) > 120 or "\x00" in name:
        errors.append(FieldError("name", "is empty or too long", "Write 1 to 120 characters."))
    if kind not in Environment.Kind.values:
        errors.append(
            FieldError("kind", f"{kind!r} is no kind", f"Choose {' or '.join(Environment.Kind.values)}.")
        )
    if not re.fullmatch(COLOUR_PATTERN, colour):
        errors.append(FieldError("colour", "is not a colour", "Write # and six lower-case hex digits."))
    if errors:
        raise InvalidInput("The environment is not valid.", errors=errors)
