"""What overrides contribute to a ruleset."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from controlplane.core.fragments import EVERY_SURFACE, Entry, Fragment, Reference, surface_section
from overrides import rules
from overrides.models import OverridePointer


def fragment(environment: str, at: datetime) -> Fragment:
    """Every override live in the environment, once per surface; windows travel inside and are judged when serving."""
    return Fragment(
        "overrides",
        [entry for pointer in OverridePointer.live_in(environment) for entry in _entries(pointer)],
    )


def _entries(pointer: OverridePointer) -> Iterator[Entry]:
    content = pointer.version.content
    body = rules.body(
        pointer.record.key, pointer.version.number, content, saved_at=pointer.version.created_at
    )
    refs: list[Reference] = [("item", item) for item in content["items"]]
    if content["when"]["audience"]:
        refs.append(("audience", content["when"]["audience"]))
    for surface in content["surfaces"]:
        yield Entry(
            section=surface_section(surface), kind="overrides", key=pointer.record.key, body=body,
            refs=(*refs, ("surface", surface)),
        )  # fmt: skip
    if not content["surfaces"]:
        yield Entry(
            section=EVERY_SURFACE, kind="overrides", key=pointer.record.key, body=body, refs=tuple(refs)
        )
