"""Questions to the trail."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from controlplane.core.models import ApiToken, AuditEvent, User

HISTORY_LENGTH = 50


@dataclass(frozen=True, slots=True)
class Happened:
    """An audit event with its actor's present name, for people; the trail itself keeps the id."""

    event: AuditEvent
    actor_name: str


def history_of(subject: str, *, limit: int = HISTORY_LENGTH) -> list[Happened]:
    """What was done to the subject, newest first, with the actors' names at hand."""
    events = list(AuditEvent.objects.filter(subject=subject).order_by("-id")[:limit])
    names = actor_names((event.actor_kind, event.actor_id) for event in events)
    return [Happened(event, names[event.actor_kind, event.actor_id]) for event in events]


def actor_names(actors: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """The present name of each (kind, id): a person's user name, a token's name; the id where nobody bears it."""
    wanted = set(actors)
    people = [key for kind, key in wanted if kind == "user" and key.isdigit()]
    prefixes = [key for kind, key in wanted if kind == "token"]
    found = {
        ("user", str(key)): name
        for key, name in User.objects.filter(pk__in=people).values_list("pk", "username")
    }
    found |= {
        ("token", prefix): f"token {name}"
        for prefix, name in ApiToken.objects.filter(prefix__in=prefixes).values_list("prefix", "name")
    }
    return {actor: found.get(actor, f"{actor[0]} {actor[1]}") for actor in wanted}
