"""What a merchandiser's home page says about their rules."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from django.urls import reverse

from controlplane.catalog import selectors as catalog
from controlplane.core.actors import Actor
from controlplane.core.pages.home import Panel, Row, Tone
from overrides import rules, selectors, showing
from overrides.models import OverridePointer

ROLES = frozenset({"merchandiser"})
SOON = timedelta(days=7)
SHOWN = 8


def panels(actor: Actor, *, environment: str, at: datetime) -> Iterator[Panel]:
    """Rules live now, those that end within a week, scheduled ones, and items of live rules that are sold out."""
    if not actor.may("overrides.view"):
        return
    address = reverse("admin:overrides_override_changelist")
    by_phase: dict[str, list[OverridePointer]] = {"active": [], "scheduled": [], "expired": []}
    for pointer in selectors.live(environment):
        by_phase[rules.phase(pointer.version.content, at=at)].append(pointer)
    active, scheduled = by_phase["active"], by_phase["scheduled"]
    mine = [pointer for pointer in active if pointer.record.owner == actor.name]
    yield Panel(
        "Rules live now",
        [_row(pointer, "Live", "good") for pointer in (mine or active)[:SHOWN]],
        weight=10,
        roles=ROLES,
        figure=f"{len(active)}" + (f", {len(mine)} mine" if mine else ""),
        empty="No rule is live here. Pin or boost something: choose Overrides, then the plus sign.",
        url=f"{address}?state=active",
    )
    ending = _ending(active, at=at)
    yield Panel(
        "Ending within 7 days",
        [_row(pointer, "Ends soon", "warning") for pointer in ending[:SHOWN]],
        weight=11,
        roles=ROLES,
        figure=str(len(ending)),
        empty="Nothing ends this week.",
        tone="warning" if ending else "neutral",
    )
    yield Panel(
        "Scheduled",
        [_row(pointer, "Scheduled", "warning") for pointer in scheduled[:SHOWN]],
        weight=12,
        roles=ROLES,
        figure=str(len(scheduled)),
        empty="Nothing is scheduled. A rule with a later start waits here.",
        url=f"{address}?state=scheduled",
    )
    yield _sold_out(active, address)


def _ending(active: Sequence[OverridePointer], *, at: datetime) -> list[OverridePointer]:
    ends = [(rules.ends_at(pointer.version.content), pointer) for pointer in active]
    soon = [
        (end, pointer.record.key, pointer) for end, pointer in ends if end is not None and end <= at + SOON
    ]
    return [pointer for _, _, pointer in sorted(soon, key=lambda one: one[:2])]


def _sold_out(active: Sequence[OverridePointer], address: str) -> Panel:
    """Items that live pins and boosts want shown and that cannot be."""
    wanted = {
        item: pointer
        for pointer in reversed(active)
        if pointer.version.content["type"] in {"pin", "boost"}
        for item in pointer.version.content["items"]
    }
    about = catalog.item_summaries(wanted)
    gone = sorted(
        item
        for item in wanted
        if item not in about or not about[item]["available"] or about[item]["deleted_at"] is not None
    )
    return Panel(
        "Items of live rules that are out of stock",
        [
            Row(
                title=(about[item]["title"] if item in about else "") or item,
                url=_address(wanted[item]),
                detail=f"{item}, in {wanted[item].record.key}",
                state="Out of stock",
                tone="bad",
            )
            for item in gone[:SHOWN]
        ],
        weight=13,
        roles=ROLES,
        figure=str(len(gone)),
        empty="Every item that a live pin or boost names is in stock.",
        url=address,
        tone="bad" if gone else "neutral",
    )


def _row(pointer: OverridePointer, state: str, tone: Tone) -> Row:
    content = pointer.version.content
    return Row(
        title=pointer.record.title,
        url=_address(pointer),
        detail=f"{rules.sentence(content)}, {showing.window_words(content)}",
        state=state,
        tone=tone,
    )


def _address(pointer: OverridePointer) -> str:
    return reverse("admin:overrides_override_change", args=[pointer.record_id])
