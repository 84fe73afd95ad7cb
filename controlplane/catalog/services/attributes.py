"""The attribute dictionary: learning from what passes by, and what people say over it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from django.db import connection, transaction

from controlplane.catalog.models import Attribute
from controlplane.catalog.models.attributes import VALUES_KEPT
from controlplane.catalog.rules.observations import Observed, observe
from controlplane.core.actors import Actor
from controlplane.core.errors import FieldError, InvalidInput
from controlplane.core.operations import operation
from controlplane.core.registry import register

MOST_LEARNED: Final = 2_000
"""Attributes of one subject. A caller that sends ever new names fills no table; what is beyond is not learned."""
_NAME = re.compile(r"^[^\s.$\x00][^\s.\x00]*(\.[^\s.\x00]+){0,3}$")


@register("catalog.learn_attributes", title="Learn attributes from traffic")
def learn(
    environment: str, subject: str, samples: Iterable[Mapping[str, Any]], *, actor: Actor, at: datetime
) -> tuple[str, ...]:
    """Teach the dictionary what the samples (contexts of requests, or attributes of items) hold; says the new names.

    Only new names are an operation with an audit event. Counts, examples and last sight are mere observation.
    """
    seen = observe(samples)
    if not seen:
        return ()
    known = set(Attribute.objects.filter(subject_kind=subject).values_list("name", flat=True))
    if seen.keys() <= known or len(known) >= MOST_LEARNED:
        with transaction.atomic():
            note_observed(subject, seen, at=at)
        return ()
    with operation.batch(
        "catalog.learn_attributes",
        by=actor,
        subject=f"catalog.attribute:{subject}",
        at=at,
        environment=environment,
    ) as report:
        new = note_observed(subject, seen, at=at)
        report.count("learned", len(new))
    return new


def note_observed(subject: str, seen: Mapping[str, Observed], *, at: datetime) -> tuple[str, ...]:
    """Fold observations into the dictionary, inside the caller's transaction; says the names that are new."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('catalog.attributes'))")
    known = {row.name: row for row in Attribute.objects.filter(subject_kind=subject)}
    changed: list[Attribute] = []
    for name, observed in seen.items():
        row = known.get(name)
        if row is None:
            continue
        row.seen_count += observed.count
        row.first_seen_at = row.first_seen_at or at
        row.last_seen_at = at
        if not row.private:
            row.values_seen = _merged(row.values_seen, observed)
        changed.append(row)
    Attribute.objects.bulk_update(
        changed, ["seen_count", "first_seen_at", "last_seen_at", "values_seen"], batch_size=500
    )
    room = max(0, MOST_LEARNED - len(known))
    new = sorted(seen.keys() - known.keys())[:room]
    Attribute.objects.bulk_create(
        Attribute(
            subject_kind=subject,
            name=name,
            type=seen[name].type,
            values_seen=_merged([], seen[name]),
            seen_count=seen[name].count,
            first_seen_at=at,
            last_seen_at=at,
        )
        for name in new
    )
    return tuple(new)


def _merged(kept: list[Any], observed: Observed) -> list[Any]:
    if len(kept) >= VALUES_KEPT:
        return kept
    there = {(type(value).__name__, value) for value in kept}
    fresh = [value for mark, value in observed.examples.items() if mark not in there]
    return [*kept, *fresh][:VALUES_KEPT]


@register("catalog.create_attribute", title="Add an attribute to the dictionary")
def create_attribute(
    *,
    subject: str,
    name: str,
    type: str,  # noqa: A002  the attribute's own word for it, as in REST
    actor: Actor,
    at: datetime,
    description: str = "",
    private: bool = False,
) -> Attribute:
    """An attribute nobody has seen yet, so that conditions may name it. Raises InvalidInput or Conflict."""
    with operation.create("catalog.create_attribute", by=actor, model=Attribute, at=at) as created:
        _check(subject=subject, name=name, type_name=type, description=description)
        return created(
            Attribute.objects.create(
                subject_kind=subject,
                name=name,
                type=type,
                description=description,
                private=private,
                source=Attribute.Source.EDITED,
            )
        )


@register("catalog.save_attribute", title="Change an attribute of the dictionary")
def save_attribute(
    attribute: Attribute,
    *,
    actor: Actor,
    at: datetime,
    expects: int | None = None,
    type: str | None = None,  # noqa: A002  the attribute's own word for it, as in REST
    description: str | None = None,
    private: bool | None = None,
) -> Attribute:
    """Change what is given; what people said, learning leaves alone. Making it private forgets the values seen."""
    with operation("catalog.save_attribute", attribute, by=actor, at=at, expects=expects) as row:
        row.type = row.type if type is None else type
        row.description = row.description if description is None else description
        row.private = row.private if private is None else private
        _check(subject=row.subject_kind, name=row.name, type_name=row.type, description=row.description)
        row.values_seen = [] if row.private else row.values_seen
        row.source = Attribute.Source.EDITED
        row.save(update_fields=["type", "description", "private", "values_seen", "source"])
    return attribute


def _check(*, subject: str, name: str, type_name: str, description: str) -> None:
    errors = []
    if subject not in Attribute.Subject.values:
        errors.append(FieldError("subject", f"{subject!r} is no subject", "Choose request or item."))
    if len(name) > 160 or not _NAME.fullmatch(name):
        errors.append(
            FieldError(
                "name",
                "cannot be an attribute's name",
                "Use up to four steps joined by dots, without spaces, such as device.os.",
            )
        )
    if type_name not in Attribute.Type.values:
        errors.append(
            FieldError(
                "type", f"{type_name!r} is no type", f"Choose one of {', '.join(Attribute.Type.values)}."
            )
        )
    if len(description) > 500:
        errors.append(FieldError("description", "is too long", "Keep to 500 characters."))
    if errors:
        raise InvalidInput("The attribute is not valid.", errors=errors)
