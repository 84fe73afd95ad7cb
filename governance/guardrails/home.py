"""What compliance's home page says about guardrails and kill switches."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from django.urls import reverse

from controlplane.core.actors import Actor
from controlplane.core.pages.home import Panel, Row
from governance.guardrails import rules, selectors, showing

ROLES = frozenset({"compliance"})
SHOWN = 8


def panels(actor: Actor, *, environment: str, at: datetime) -> Iterator[Panel]:
    """Switches thrown, guardrails live and in shadow, and how many items the live ones block."""
    if not actor.may("guardrails.view"):
        return
    thrown = list(selectors.thrown(environment))
    yield Panel(
        "Kill switches thrown",
        [
            Row(
                title=switch.key,
                url=reverse("admin:guardrails_killswitch_change", args=[switch.pk]),
                detail=f"{switch.get_kind_display()}, because {switch.reason}; by {switch.thrown_by}",
                state="Thrown",
                tone="bad",
            )
            for switch in thrown[:SHOWN]
        ],
        weight=5,
        roles=ROLES | {"operator"},
        figure=str(len(thrown)),
        empty="None stands thrown.",
        url=reverse("admin:guardrails_killswitch_changelist"),
        tone="bad" if thrown else "neutral",
    )
    live = selectors.live(environment)
    blocked: set[str] = set()
    rows: list[Row] = []
    for pointer in live:
        content = pointer.version.content
        shadow = content["status"] == "shadow"
        tripped = selectors.tripped_items(content)
        if content["action"] == "block" and not shadow:
            blocked |= tripped
        rows.append(
            Row(
                title=pointer.record.title,
                url=reverse("admin:guardrails_guardrail_change", args=[pointer.record_id]),
                detail=f"{rules.sentence(content)}: {showing.count(len(tripped), 'item')} now",
                state="Shadow" if shadow else "Live",
                tone="warning" if shadow else "good",
            )
        )
    shadows = sum(row.state == "Shadow" for row in rows)
    yield Panel(
        "Guardrails",
        rows[:SHOWN],
        weight=20,
        roles=ROLES,
        figure=f"{len(rows) - shadows} live, {shadows} in shadow",
        empty="No guardrail is served here. Choose Guardrails, then the plus sign.",
        url=reverse("admin:guardrails_guardrail_changelist"),
    )
    yield Panel(
        "Items blocked",
        [],
        weight=21,
        roles=ROLES,
        figure=f"{len(blocked):,}",
        empty="Items of the catalogue that live guardrails keep off at least one surface now.",
    )
