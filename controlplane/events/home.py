"""The operator's panel on the home page: do events arrive, are they understood, do they reach the lake?"""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from urllib.parse import urlencode

from django.urls import reverse

from controlplane.core.actors import Actor
from controlplane.core.pages.home import Panel, Row, Tone
from controlplane.events import selectors

MOVE_EXPECTED = timedelta(minutes=2)
QUARANTINE_ROWS = 5
COUNTED_DAYS = 7
COUNTED = {"late": "late", "future": "from the future", "too_late": "too late", "duplicate": "duplicates"}


def panels(actor: Actor, *, environment: str, at: datetime) -> list[Panel]:
    """One panel about the way of events, for whoever may see them; operators first."""
    if not actor.may("events.view", environment=environment):
        return []
    totals: Counter[str] = Counter()
    since = (at - timedelta(days=COUNTED_DAYS - 1)).date()
    for verdicts in selectors.counts(environment=environment, since=since).values():
        totals.update(verdicts)
    groups = selectors.quarantine_groups(environment=environment)
    rows = [_waiting(at), _counted(totals), *_quarantine(environment, groups)]
    tones = {row.tone for row in rows}
    tone: Tone = "bad" if "bad" in tones else "warning" if "warning" in tones else "good"
    return [
        Panel(
            title="Events",
            rows=rows,
            weight=40,
            roles=frozenset({"operator"}),
            figure=f"{totals['moved']:,}",
            url=reverse("admin:events_ingestcount_changelist"),
            tone=tone,
        )
    ]


def _waiting(at: datetime) -> Row:
    waiting, moved_at = selectors.waiting_events(), selectors.last_moved_at()
    oldest = selectors.oldest_waiting_at() if waiting else None
    last = f"last move {moved_at:%-d %b %H:%M} UTC" if moved_at else "nothing was moved yet"
    stuck = oldest is not None and at - oldest > MOVE_EXPECTED
    return Row(
        title=f"{waiting:,} wait for the lake, in all environments",
        detail=last,
        state="late" if stuck else "moving" if waiting else "all moved",
        tone="warning" if stuck else "good",
    )


def _counted(totals: Counter[str]) -> Row:
    words = [f"{totals[verdict]:,} {said}" for verdict, said in COUNTED.items()]
    return Row(title=", ".join(words), detail=f"last {COUNTED_DAYS} days", state="counted")


def _quarantine(environment: str, groups: list[selectors.QuarantineGroup]) -> list[Row]:
    address = reverse("admin:events_quarantinedrecord_changelist")
    rows = [
        Row(
            title=f"{group.code} {group.field}".strip(),
            url=f"{address}?{urlencode({'environment': environment, 'code': group.code})}",
            detail=f"{group.sample.reason}; records: {group.records:,}, times seen: {group.times_seen:,}",
            state="quarantined",
            tone="warning",
        )
        for group in groups[:QUARANTINE_ROWS]
    ]
    more = len(groups) - len(rows)
    return [*rows, Row(title=f"{more} more reasons", url=address, state="quarantined")] if more > 0 else rows
