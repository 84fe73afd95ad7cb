"""The home page: per role, what needs me now. Apps bring panels through `settings.HOME_PANELS`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from django.conf import settings
from django.utils.module_loading import import_string

from controlplane.core.actors import Actor

Tone = Literal["good", "warning", "bad", "neutral"]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a panel: a link, what it says beside it, and a word with a tone for its state."""

    title: str
    url: str = ""
    detail: str = ""
    state: str = ""
    tone: Tone = "neutral"


@dataclass(frozen=True, slots=True)
class Panel:
    """One question answered. `weight` sorts: lower first; `roles` are those who see it first (empty: everybody)."""

    title: str
    rows: Sequence[Row]
    weight: int
    roles: frozenset[str] = frozenset()
    figure: str = ""
    """The answer in a word or number, shown large."""
    empty: str = ""
    """What to say, and do, when there is nothing."""
    url: str = ""
    tone: Tone = "neutral"


def panels(actor: Actor, *, environment: str, at: datetime) -> list[Panel]:
    """Every panel for the actor, those of their own roles first."""
    found: list[Panel] = []
    for path in settings.HOME_PANELS:
        made: Iterable[Panel] = import_string(path)(actor, environment=environment, at=at)
        found += made
    mine = actor.roles
    return sorted(
        found, key=lambda panel: (bool(panel.roles) and not (panel.roles & mine), panel.weight, panel.title)
    )
