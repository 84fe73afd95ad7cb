"""Operations on guardrails and kill switches.

Tightening is one person's act, loosening takes two: a looser version, withdrawing a guardrail and releasing a switch ask
for an approval by somebody else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from controlplane.catalog import selectors as catalog
from controlplane.catalog.services.conditions import check_condition, check_signal
from controlplane.core import record_operations, surfaces
from controlplane.core.actors import Actor
from controlplane.core.errors import Conflict, FieldError, InvalidInput
from controlplane.core.operations import operation
from controlplane.core.record_operations import check_environment
from controlplane.core.registry import register
from controlplane.rulesets import services as rulesets
from governance.guardrails import rules, switches
from governance.guardrails.models import Guardrail, KillSwitch


@register("guardrails.create_guardrail", title="Create a guardrail")
def create_guardrail(
    *,
    key: str,
    title: str,
    owner: str,
    content: Mapping[str, Any],
    actor: Actor,
    at: datetime,
    note: str = "",
) -> Guardrail:
    """A new guardrail with its first version, live nowhere yet. Raises InvalidInput, or Conflict when the key is taken."""
    return record_operations.create(
        "guardrails.create_guardrail", Guardrail, key=key, title=title, owner=owner, content=content, judge=judge,
        actor=actor, at=at, note=note, surfaces=surfaces.named(content),
    )  # fmt: skip


@register("guardrails.save_guardrail", title="Save a new version of a guardrail")
def save_guardrail(
    guardrail: Guardrail,
    *,
    actor: Actor,
    at: datetime,
    expects: int | None = None,
    title: str | None = None,
    owner: str | None = None,
    content: Mapping[str, Any] | None = None,
    note: str = "",
) -> Guardrail:
    """Add a version; what is live stays live until it is published. Raises InvalidInput."""
    return record_operations.save(
        "guardrails.save_guardrail", guardrail, judge=judge, actor=actor, at=at, expects=expects, title=title,
        owner=owner, content=content, note=note, surfaces=surfaces.of_save(guardrail, content),
    )  # fmt: skip


@register("guardrails.publish_guardrail", title="Put a guardrail live", publishes=True)
def publish_guardrail(
    guardrail: Guardrail,
    *,
    environment: str,
    actor: Actor,
    at: datetime,
    version: int | None = None,
    expects: int | None = None,
) -> Guardrail:
    """Make a version (the newest unless named) live in the environment. A looser one than is live needs an approval."""

    def allowed(_row: Guardrail, chosen: Any) -> None:
        surfaces.check_reach("guardrails.publish_guardrail", chosen.content, actor)

    return record_operations.publish(
        "guardrails.publish_guardrail", guardrail, environment=environment, actor=actor, at=at, version=version,
        expects=expects, allowed=allowed,
    )  # fmt: skip


@register("guardrails.withdraw_guardrail", title="Take a guardrail out of service", publishes=True)
def withdraw_guardrail(
    guardrail: Guardrail, *, environment: str, actor: Actor, at: datetime, expects: int | None = None
) -> Guardrail:
    """Serve it no longer in the environment; loosening, so it needs an approval. Raises Conflict when not live there."""
    return record_operations.withdraw(
        "guardrails.withdraw_guardrail",
        guardrail,
        environment=environment,
        actor=actor,
        at=at,
        expects=expects,
    )


@register("guardrails.throw_kill_switch", title="Throw a kill switch", publishes=True)
def throw_kill_switch(
    *,
    key: str,
    environment: str,
    kind: str,
    reason: str,
    actor: Actor,
    at: datetime,
    items: Sequence[str] = (),
    rule: str = "",
    surfaces: Sequence[str] = (),
) -> tuple[KillSwitch, int]:
    """Stop something at once; says the revision that carries the switch.

    Switch, audit event and revision are written together, from what is served now, so that no other source's trouble can
    delay it. Unknown items are accepted: what is blocked need not be in the catalogue.
    """
    given = {"kind": kind, "reason": reason, "items": list(items), "rule": rule, "surfaces": list(surfaces)}
    whole = rules.check_switch(given)
    check_environment(environment)
    missing = catalog.missing_surfaces(whole["surfaces"])
    if missing:
        raise InvalidInput.on(
            "surfaces", f"there is no surface {', '.join(missing)}", "Name existing surfaces."
        )
    record_operations.check_identity(key=key, title=key, owner=actor.name, note="")
    with rulesets.publishing(environment, wait=rulesets.SWITCH_WAIT), operation.create(
        "guardrails.throw_kill_switch", by=actor, model=KillSwitch, at=at, environment=environment,
        surfaces=whole["surfaces"],
    ) as created:  # fmt: skip
        switch = created(
            KillSwitch.objects.create(
                key=key, environment=environment, thrown_at=at, thrown_by=actor.name, **whole
            )
        )
        published = rulesets.publish_switch(
            switches.fragment(environment, at),
            environment=environment,
            cause=f"kill switch {key}: {whole['reason']}",
            at=at,
            actor=actor,
        )
    return switch, published.revision


@register("guardrails.release_kill_switch", title="Release a kill switch", publishes=True)
def release_kill_switch(
    *, switch: KillSwitch, actor: Actor, at: datetime, expects: int | None = None
) -> KillSwitch:
    """Let serve again what the switch stopped; loosening, so it needs an approval. Raises Conflict when released before."""
    with operation(
        "guardrails.release_kill_switch",
        switch,
        by=actor,
        at=at,
        expects=expects,
        environment=switch.environment,
    ) as row:
        if row.released_at is not None:
            raise Conflict(f"{row.key} was released before.")
        row.released_at, row.released_by = at, actor.name
        row.save(update_fields=["released_at", "released_by"])
    return switch


def judge(content: Mapping[str, Any]) -> dict[str, Any]:
    """The content as stored. Raises InvalidInput for its shape, its condition and the surfaces and signal it names."""
    whole = rules.check(content)
    missing = catalog.missing_surfaces(whole["surfaces"])
    if missing:
        raise InvalidInput(
            "The guardrail names surfaces that do not exist.",
            errors=[
                FieldError(
                    "content.surfaces", f"there is no surface {', '.join(missing)}", "Name existing surfaces."
                )
            ],
        )
    if whole["signal"] is not None:
        check_signal(whole["signal"], "content.signal")
    if whole["condition"]:
        check_condition(whole["condition"], "item", "content.condition")
    return whole
