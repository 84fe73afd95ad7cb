"""Questions about overrides: lists with what is newest and live, previews, and what a rule would touch."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db.models import JSONField, OuterRef, QuerySet, Subquery
from django.utils.module_loading import import_string

from controlplane.catalog import selectors as catalog
from controlplane.catalog.models import Item
from controlplane.core.contents import utc
from controlplane.core.errors import InvalidInput
from controlplane.engine import Candidate, Request
from controlplane.rulesets import selectors as rulesets
from overrides import rules
from overrides.models import Override, OverridePointer, OverrideVersion
from overrides.preview import SECTION, Preview, preview

POOL = 400
EXTRA = 6
TARGETS = 4


@dataclass(frozen=True, slots=True)
class Question:
    """What to preview a draft against. Without candidates, the catalogue's items stand in for the ranker's."""

    surface: str
    at: datetime
    context: Mapping[str, Any]
    candidates: Sequence[str] = ()
    members_of: Sequence[str] = ()


def listed(environment: str) -> QuerySet[Override]:
    """Overrides with `newest_content`, `newest_number`, and `live_content`, `live_number` in the environment."""
    newest = OverrideVersion.objects.filter(record=OuterRef("pk")).order_by("-number")
    live = OverridePointer.objects.filter(record=OuterRef("pk"), environment=environment)
    return Override.objects.annotate(
        newest_content=Subquery(newest.values("content")[:1], output_field=JSONField()),
        newest_number=Subquery(newest.values("number")[:1]),
        live_content=Subquery(live.values("version__content")[:1], output_field=JSONField()),
        live_number=Subquery(live.values("version__number")[:1]),
    ).order_by("key")


def in_phase(environment: str, phase: str, *, at: datetime) -> list[int]:
    """Primary keys of the overrides live in the environment whose windows are `active`, `scheduled` or `expired`."""
    return [
        pointer.record_id
        for pointer in OverridePointer.live_in(environment)
        if rules.phase(pointer.version.content, at=at) == phase
    ]


def live(environment: str) -> list[OverridePointer]:
    """Pointers of every override live in the environment, with version and record, by key."""
    return list(OverridePointer.live_in(environment))


def surfaces_served(environment: str) -> list[str]:
    """Surfaces of the environment's head; none before the first revision."""
    names = rulesets.sections(rulesets.head(environment))
    return sorted(name.removeprefix(SECTION) for name in names if name.startswith(SECTION))


def preview_draft(
    environment: str, *, key: str, number: int, content: Mapping[str, Any], question: Question, now: datetime
) -> Preview:
    """What the draft does to the surface's slate at the question's time, against the environment's head.

    Raises InvalidInput when nothing is served there yet, or the surface is not.
    """
    head = rulesets.head(environment)
    if head is None:
        raise InvalidInput.on(
            "surface", f"nothing is served in {environment} yet", "Publish a surface there first."
        )
    document = rulesets.document(head)
    if SECTION + question.surface not in document["sections"]:
        raise InvalidInput.on(
            "surface", f"{question.surface} is not served in {environment}", "Publish it there first."
        )
    body = rules.body(key, number, content, saved_at=now)
    facts = import_string(settings.RULESET_FACTS)(environment, content["items"], ())
    slots = int(document["sections"][SECTION + question.surface]["surface"]["slots"])
    request = Request(
        surface=question.surface,
        at=utc(question.at),
        unit_ids={},
        context=question.context,
        candidates=_candidates(question.candidates, content, facts, slots=slots),
    )
    # The sample's own items are judged by what the catalogue says of them, as a recommender would send it along.
    return preview(document, body, request, facts=facts, members_of=question.members_of)


def _candidates(
    named: Sequence[str], content: Mapping[str, Any], facts: Mapping[str, Any], *, slots: int
) -> list[Candidate]:
    """The named items in their order, or a sample in which the draft's own items stand low enough to be seen rising."""
    ids = list(dict.fromkeys(named)) or _sample(content, facts, slots=slots)
    rows = {
        row["item_id"]: row
        for row in Item.objects.filter(item_id__in=ids, deleted_at__isnull=True).values(
            "item_id", "attributes", "signals", "available"
        )
    }
    return [
        Candidate(item, round(1 - place / (len(ids) + 1), 4), _attributes(rows[item]) if item in rows else {})
        for place, item in enumerate(ids)
    ]


def _attributes(row: Mapping[str, Any]) -> dict[str, Any]:
    return {**row["attributes"], "signals": row["signals"], "available": row["available"]}


def _sample(content: Mapping[str, Any], facts: Mapping[str, Any], *, slots: int) -> list[str]:
    """Available items in an order that stays the same, with some of the draft's own among them."""
    pool = list(catalog.items(available=True).values_list("item_id", flat=True)[:POOL])
    pool.sort(key=lambda item: hashlib.sha256(item.encode()).digest())
    concerned = [item for item in content["items"] if item in facts]
    if not concerned and content["condition"]:
        matching = import_string(settings.RULESET_FACTS)("", (), [content["condition"]])
        concerned = [item for item in pool if item in matching] or sorted(matching)
    if content["type"] == "pin":
        concerned = []  # a pin brings its items in by itself
    mine = concerned[:TARGETS]
    rest = [item for item in pool if item not in set(mine)][: slots + EXTRA]
    for step, item in enumerate(mine):
        rest.insert(min(len(rest), slots // 2 + 2 * step + 1), item)
    return rest


def in_stock(item_ids: Iterable[str]) -> int:
    """How many of the ids are available items of the catalogue."""
    known = catalog.item_summaries(item_ids).values()
    return sum(row["available"] and row["deleted_at"] is None for row in known)
