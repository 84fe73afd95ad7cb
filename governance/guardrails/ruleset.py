"""What guardrails and kill switches contribute to a ruleset."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from controlplane.core.fragments import EVERY_SURFACE, SHARED, Entry, Fragment, surface_section
from governance.guardrails.models import GuardrailPointer, KillSwitch

KILL_SWITCHES: Final = "kill_switches"
_ALWAYS: Final = ("action", "signal", "op", "threshold", "missing", "condition", "windows", "status")
_OF_ACTION: Final = ("factor", "min_age", "regions")


def fragment(environment: str, at: datetime) -> Fragment:
    """Every guardrail live in the environment, once per surface."""
    return Fragment(
        "guardrails",
        [entry for pointer in GuardrailPointer.live_in(environment) for entry in _entries(pointer)],
    )


def _entries(pointer: GuardrailPointer) -> Iterator[Entry]:
    content = pointer.version.content
    body = {"key": pointer.record.key, "version": pointer.version.number}
    body |= {name: content[name] for name in _ALWAYS}
    body |= {name: content[name] for name in _OF_ACTION if content[name]}
    for surface in content["surfaces"]:
        yield Entry(
            section=surface_section(surface),
            kind="guardrails",
            key=pointer.record.key,
            body=body,
            refs=(("surface", surface),),
        )
    if not content["surfaces"]:
        yield Entry(section=EVERY_SURFACE, kind="guardrails", key=pointer.record.key, body=body)


def kill_switch_fragment(environment: str, at: datetime) -> Fragment:
    """Every switch that stands thrown in the environment."""
    thrown = KillSwitch.objects.filter(environment=environment, released_at__isnull=True).order_by("key")
    return Fragment(
        KILL_SWITCHES,
        [
            Entry(
                section=SHARED,
                kind="kill_switches",
                key=switch.key,
                body={
                    "key": switch.key,
                    "version": switch.row_version,
                    "kind": switch.kind,
                    "items": list(switch.items),
                    "rule": switch.rule or None,
                    "surfaces": list(switch.surfaces),
                    "reason": switch.reason,
                },
            )
            for switch in thrown
        ],
    )
