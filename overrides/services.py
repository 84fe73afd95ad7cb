"""Operations on overrides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from controlplane.catalog import selectors as catalog
from controlplane.catalog.services.conditions import check_condition
from controlplane.core import record_operations, surfaces
from controlplane.core.actors import Actor
from controlplane.core.errors import Conflict, FieldError, InvalidInput
from controlplane.core.registry import register
from overrides import rules
from overrides.models import Override


@register("overrides.create_override", title="Create an override")
def create_override(
    *,
    key: str,
    title: str,
    owner: str,
    content: Mapping[str, Any],
    actor: Actor,
    at: datetime,
    note: str = "",
) -> Override:
    """A new override with its first version, live nowhere yet. Raises InvalidInput, or Conflict when the key is taken."""
    return record_operations.create(
        "overrides.create_override", Override, key=key, title=title, owner=owner, content=content, judge=judge,
        actor=actor, at=at, note=note, surfaces=surfaces.named(content),
    )  # fmt: skip


@register("overrides.save_override", title="Save a new version of an override")
def save_override(
    override: Override,
    *,
    actor: Actor,
    at: datetime,
    expects: int | None = None,
    title: str | None = None,
    owner: str | None = None,
    content: Mapping[str, Any] | None = None,
    note: str = "",
) -> Override:
    """Add a version; what is live stays live until it is published. Raises InvalidInput."""
    return record_operations.save(
        "overrides.save_override", override, judge=judge, actor=actor, at=at, expects=expects, title=title, owner=owner,
        content=content, note=note, surfaces=surfaces.of_save(override, content),
    )  # fmt: skip


@register("overrides.publish_override", title="Put an override live", publishes=True)
def publish_override(
    override: Override,
    *,
    environment: str,
    actor: Actor,
    at: datetime,
    version: int | None = None,
    expects: int | None = None,
) -> Override:
    """Make a version (the newest unless named) live in the environment. Raises Conflict when its windows have passed."""

    def allowed(row: Override, chosen: Any) -> None:
        if rules.phase(chosen.content, at=at) == "expired":
            raise Conflict(f"{row.key} has only windows in the past; give it a later end first.")
        surfaces.check_reach("overrides.publish_override", chosen.content, actor)

    return record_operations.publish(
        "overrides.publish_override", override, environment=environment, actor=actor, at=at, version=version,
        expects=expects, allowed=allowed,
    )  # fmt: skip


@register("overrides.withdraw_override", title="Take an override out of service", publishes=True)
def withdraw_override(
    override: Override, *, environment: str, actor: Actor, at: datetime, expects: int | None = None
) -> Override:
    """Serve it no longer in the environment. Raises Conflict when it was not live there."""
    return record_operations.withdraw(
        "overrides.withdraw_override", override, environment=environment, actor=actor, at=at, expects=expects
    )


def judge(content: Mapping[str, Any]) -> dict[str, Any]:
    """The content as stored. Raises InvalidInput for its shape, its conditions and what it names in the catalogue."""
    whole = rules.check(content)
    errors = [
        *_missing("content.surfaces", "surface", catalog.missing_surfaces(whole["surfaces"])),
        *_missing("content.items", "item", catalog.missing_items(whole["items"])),
    ]
    if whole["when"]["audience"]:
        errors += _missing(
            "content.when.audience", "audience", catalog.missing_audiences([whole["when"]["audience"]])
        )
    if errors:
        raise InvalidInput("The override names things that do not exist.", errors=errors)
    if whole["condition"]:
        check_condition(whole["condition"], "item", "content.condition")
    if whole["when"]["condition"]:
        check_condition(whole["when"]["condition"], "request", "content.when.condition")
    return whole


def _missing(field: str, what: str, keys: Iterable[str]) -> list[FieldError]:
    named = list(keys)
    if not named:
        return []
    more = f" and {len(named) - 10} more" if len(named) > 10 else ""
    return [
        FieldError(
            field,
            f"there is no {what} {', '.join(named[:10])}{more}",
            f"Name an existing {what}, or add it first.",
        )
    ]
