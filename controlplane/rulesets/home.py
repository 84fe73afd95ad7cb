"""What the home page says about serving: which revision is served, what is held back, what is served stale."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from django.urls import reverse

from controlplane.core.actors import Actor
from controlplane.core.pages.home import Panel, Row
from controlplane.rulesets import selectors
from controlplane.rulesets.models import RevisionFragment

LATEST = 5


def panels(actor: Actor, *, environment: str, at: datetime) -> Iterator[Panel]:
    """Serving, for those who may see revisions."""
    if actor.may("rulesets.view"):
        yield _served(environment)
        yield _held(environment)


def _served(environment: str) -> Panel:
    head = selectors.head(environment)
    broken = RevisionFragment.objects.filter(revision=head, standing=RevisionFragment.Standing.STALE)
    stale = list(broken.order_by("source").values_list("source", flat=True)) if head else []
    rows = [
        Row(title=f"{source} is served as it last was good", state="Stale", tone="bad") for source in stale
    ]
    rows += [
        Row(
            title=f"{revision.number}: {revision.cause}",
            url=reverse("admin:rulesets_revision_change", args=[revision.pk]),
            detail=f"{revision.author}, {revision.at:%-d %b %H:%M} UTC",
        )
        for revision in selectors.revisions(environment)[:LATEST]
    ]
    return Panel(
        title="Served revision",
        figure=str(head.number) if head else "none",
        rows=rows,
        weight=40,
        roles=frozenset({"operator", "admin"}),
        empty="Nothing is published here yet. Make a surface live, then publish.",
        url=reverse("admin:rulesets_revision_changelist"),
        tone="bad" if stale else "neutral",
    )


def _held(environment: str) -> Panel:
    rows = [
        Row(
            title=f"{', '.join(hold.sources)} as in revision {hold.from_revision.number}",
            url=reverse("admin:rulesets_hold_change", args=[hold.pk]),
            detail=f"{hold.reason} · until {hold.expires_at:%-d %b %H:%M} UTC",
            state="Held",
            tone="warning",
        )
        for hold in selectors.standing_holds(environment)
    ]
    return Panel(
        title="Held back",
        rows=rows,
        weight=45 if rows else 90,
        roles=frozenset({"operator", "admin"}),
        empty="Nothing is held back: what is saved and live is what is served.",
        url=reverse("admin:rulesets_hold_changelist"),
        tone="warning" if rows else "neutral",
    )
