"""Questions about what was published: heads, the fragments behind them, documents, holds."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from controlplane.catalog.models import Attribute, Environment
from controlplane.core.errors import NotFound
from controlplane.core.models import ApiToken
from controlplane.rulesets.fragments import Fragment
from controlplane.rulesets.models import Head, Hold, Revision, RevisionFragment, RevisionSection


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one source gave to a revision, where it came from, and whether it is the newest it has to say."""

    provider: str
    fragment: Fragment
    standing: str = RevisionFragment.Standing.CURRENT


def environments() -> list[str]:
    """Keys of all environments, sorted."""
    return list(Environment.objects.order_by("key").values_list("key", flat=True))


def known_attributes() -> frozenset[str]:
    """Names the attribute dictionary knows, with and without their subject in front."""
    rows = Attribute.objects.values_list("subject_kind", "name")
    return frozenset(spelling for subject, name in rows for spelling in (name, f"{subject}.{name}"))


def head(environment: str) -> Revision | None:
    """The revision serving systems get, or None before the first."""
    row = Head.objects.filter(environment=environment).select_related("revision").first()
    return row.revision if row else None


def revision(environment: str, number: int) -> Revision:
    """Raises NotFound."""
    found = Revision.objects.filter(environment=environment, number=number).first()
    if found is None:
        raise NotFound(f"{environment} has no revision {number}.")
    return found


def revisions(environment: str = "") -> QuerySet[Revision]:
    """Newest first, of one environment or of all."""
    rows = Revision.objects.order_by("-at", "-id")
    return rows.filter(environment=environment) if environment else rows


def contributions(of: Revision | None) -> dict[str, Contribution]:
    """The fragments a revision was linked from, by source."""
    if of is None:
        return {}
    rows = RevisionFragment.objects.filter(revision=of).select_related("fragment").order_by("source")
    return {
        row.source: Contribution(
            row.provider, Fragment.from_json(json.loads(row.fragment.body)), row.standing
        )
        for row in rows
    }


def sections(of: Revision | None) -> dict[str, dict[str, Any]]:
    """The bodies of a revision's sections, by name."""
    if of is None:
        return {}
    rows = RevisionSection.objects.filter(revision=of).select_related("section").order_by("name")
    return {row.name: json.loads(row.section.body) for row in rows}


def document(of: Revision) -> dict[str, Any]:
    """The whole document of a revision, every surface included."""
    return {"manifest": of.manifest, "sections": sections(of)}


def compiled_facts(of: Revision | None) -> dict[str, Mapping[str, Any]]:
    """Item facts as the revision holds them, over all its surfaces."""
    return {
        item: fact for section in sections(of).values() for item, fact in section.get("facts", {}).items()
    }


def readers(environment: str) -> int:
    """How many programs hold a token that opens the environment's ruleset."""
    return ApiToken.objects.filter(
        environment=environment, scopes__contains=["ruleset:read"], revoked_at__isnull=True
    ).count()


def standing_holds(environment: str) -> QuerySet[Hold]:
    """Holds that nobody has released, oldest first. An expired one stands until a sweep releases it."""
    return (
        Hold.objects.filter(environment=environment, released_at__isnull=True)
        .select_related("from_revision")
        .order_by("created_at", "id")
    )


def holds(environment: str = "") -> QuerySet[Hold]:
    """All holds, newest first."""
    rows = Hold.objects.select_related("from_revision").order_by("-created_at", "-id")
    return rows.filter(environment=environment) if environment else rows


def expired_holds(*, at: datetime) -> QuerySet[Hold]:
    """Holds whose time is over and that still stand."""
    return Hold.objects.filter(released_at__isnull=True, expires_at__lte=at).select_related("from_revision")


def held_back(environment: str, *, released: Iterable[int] = ()) -> dict[str, Contribution]:
    """By source: the earlier fragment that is served in its place. `released` are holds to leave out of account."""
    found: dict[str, Contribution] = {}
    for hold in standing_holds(environment).exclude(pk__in=list(released)):
        earlier = contributions(hold.from_revision)
        for source in hold.sources:
            was = earlier.get(source) or Contribution("", Fragment(source))
            found[source] = Contribution(was.provider, was.fragment, RevisionFragment.Standing.HELD)
    return found
