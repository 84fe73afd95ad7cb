"""Kill switches as a fragment: what stands thrown, for the publish that throws one and for every later one."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from controlplane.core.fragments import SHARED, Entry, Fragment
from governance.guardrails.models import KillSwitch

SOURCE: Final = "kill_switches"


def fragment(environment: str, at: datetime) -> Fragment:
    """Every switch that stands thrown in the environment."""
    thrown = KillSwitch.objects.filter(environment=environment, released_at__isnull=True).order_by("key")
    return Fragment(SOURCE, [_entry(switch) for switch in thrown])


def _entry(switch: KillSwitch) -> Entry:
    body = {
        "key": switch.key,
        "version": switch.row_version,
        "kind": switch.kind,
        "items": list(switch.items),
        "rule": switch.rule or None,
        "surfaces": list(switch.surfaces),
        "reason": switch.reason,
    }
    return Entry(section=SHARED, kind="kill_switches", key=switch.key, body=body)
