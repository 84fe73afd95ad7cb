"""What guardrails and kill switches contribute to a ruleset."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from controlplane.core.fragments import EVERY_SURFACE, Entry, Fragment, surface_section
from governance.guardrails import switches
from governance.guardrails.models import GuardrailPointer

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
    return switches.fragment(environment, at)
