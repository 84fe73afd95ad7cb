"""Questions to the catalogue."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db.models import Q, QuerySet

from controlplane.catalog.models import (
    Attribute,
    Audience,
    AudiencePointer,
    Environment,
    Item,
    Surface,
    SurfacePointer,
)


def environments() -> QuerySet[Environment]:
    """Every environment, by key."""
    return Environment.objects.order_by("key")


def environment_choices() -> list[dict[str, Any]]:
    """Key, name and kind of every environment, for the choice at the top of each page."""
    return [dict(row) for row in environments().values("key", "name", "kind")]


def environment_keys() -> tuple[str, ...]:
    """Keys of every environment, sorted."""
    return tuple(environments().values_list("key", flat=True))


def surfaces() -> QuerySet[Surface]:
    """Every surface by key, with its versions and pointers at hand."""
    return Surface.objects.prefetch_related("versions", "pointers__version").order_by("key")


def audiences() -> QuerySet[Audience]:
    """Every audience by key, with its versions and pointers at hand."""
    return Audience.objects.prefetch_related("versions", "pointers__version").order_by("key")


def live_surfaces(environment: str) -> QuerySet[SurfacePointer]:
    """Pointers of the surfaces live in the environment, with version and record, by key."""
    return SurfacePointer.live_in(environment)


def live_audiences(environment: str) -> QuerySet[AudiencePointer]:
    """Pointers of the audiences live in the environment, with version and record, by key."""
    return AudiencePointer.live_in(environment)


def surface_keys(environment: str) -> frozenset[str]:
    """Keys of the surfaces live in the environment."""
    return frozenset(
        SurfacePointer.objects.filter(environment=environment).values_list("record__key", flat=True)
    )


def missing_surfaces(keys: Iterable[str]) -> tuple[str, ...]:
    """Those of the keys that are no surface, sorted."""
    wanted = set(keys)
    return tuple(sorted(wanted - set(Surface.objects.filter(key__in=wanted).values_list("key", flat=True))))


def missing_audiences(keys: Iterable[str]) -> tuple[str, ...]:
    """Those of the keys that are no audience, sorted."""
    wanted = set(keys)
    return tuple(sorted(wanted - set(Audience.objects.filter(key__in=wanted).values_list("key", flat=True))))


def missing_items(item_ids: Iterable[str]) -> tuple[str, ...]:
    """Those of the ids that are no item of the catalogue, or were deleted, sorted."""
    wanted = set(item_ids)
    known = Item.objects.filter(item_id__in=wanted, deleted_at__isnull=True)
    return tuple(sorted(wanted - set(known.values_list("item_id", flat=True))))


def attributes(*, subject: str = "", q: str = "") -> QuerySet[Attribute]:
    """The dictionary by subject and name, narrowed to one subject and to names that contain `q`."""
    rows = Attribute.objects.order_by("subject_kind", "name")
    if subject:
        rows = rows.filter(subject_kind=subject)
    return rows.filter(name__icontains=q) if q else rows


def attribute_names(subject: str) -> dict[str, str]:
    """Dotted name -> type of every attribute the dictionary has of `request` or `item`."""
    return dict(Attribute.objects.filter(subject_kind=subject).values_list("name", "type"))


def private_attributes(subject: str) -> frozenset[str]:
    """Names of the attributes whose values must not be logged in clear."""
    return frozenset(
        Attribute.objects.filter(subject_kind=subject, private=True).values_list("name", flat=True)
    )


def items(
    *, q: str = "", provider: str = "", available: bool | None = None, deleted: bool = False
) -> QuerySet[Item]:
    """Items by id: those whose id or title contains `q`, of one provider, (un)available; deleted ones instead of present."""
    rows = Item.objects.filter(deleted_at__isnull=not deleted).order_by("item_id")
    if q:
        rows = rows.filter(Q(item_id__icontains=q) | Q(title__icontains=q))
    if provider:
        rows = rows.filter(provider=provider)
    return rows if available is None else rows.filter(available=available)


def item_summaries(item_ids: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Title, image and availability of items by id, for pages that name them; unknown ids are absent."""
    rows = Item.objects.filter(item_id__in=list(item_ids)).values(
        "item_id", "title", "image_url", "available", "deleted_at"
    )
    return {row["item_id"]: dict(row) for row in rows}
