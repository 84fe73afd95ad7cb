"""The `serve` group: rulesets and events from memory, without Django's apps, its admin or REST framework."""

from __future__ import annotations

import os
from datetime import UTC, datetime

from django.conf import settings

from controlplane.core import logs
from controlplane.events.ingest import Ingest
from controlplane.rulesets.following import Follower
from controlplane.rulesets.heads import Heads
from controlplane.rulesets.serving import Serving
from controlplane.rulesets.token_table import TokenTable

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "controlplane.settings")


def _clock() -> datetime:
    return datetime.now(UTC)


def assemble() -> Serving:
    """The application with its parts, configured by the settings."""
    logs.configure(settings.LOGGING)
    heads, tokens = Heads(), TokenTable(clock=_clock)
    follower = Follower(
        settings.DATABASE_DIRECT_URL,
        heads=heads,
        tokens=tokens,
        path=settings.STATE_DIR / "serve.json",
        clock=_clock,
    )
    events = Ingest(
        settings.DATABASE_URL, authenticate=tokens.authenticate, surfaces=heads.surfaces, clock=_clock
    )
    return Serving(heads=heads, tokens=tokens, follower=follower, events=events, clock=_clock)


application = assemble()
