"""Which surfaces a write touches, so that a role limited to some of them cannot reach the others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from controlplane.core.actors import Actor
from controlplane.core.errors import Forbidden

EVERYWHERE: Final = ("every surface",)
"""What an operation is told when it touches all surfaces: no surface has this key, so only an unlimited role may."""


def named(content: Mapping[str, Any]) -> tuple[str, ...]:
    """The surfaces content names, as given and not yet judged; none is every surface."""
    surfaces = content.get("surfaces")
    return tuple(one for one in surfaces if isinstance(one, str)) if isinstance(surfaces, list) else ()


def of_record(record: Any) -> tuple[str, ...]:
    """The surfaces of a record's newest version and of those live anywhere; () when one of them is everywhere."""
    newest = record.newest()
    live = [pointer.version for pointer in record.pointers.select_related("version")]
    return union(version.content for version in (newest, *live) if version is not None)


def union(contents: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """The surfaces of all contents together, sorted; () when one of them is everywhere, or when there is none."""
    each = [named(content) for content in contents]
    return tuple(sorted({key for one in each for key in one})) if all(each) else ()


def of_save(record: Any, content: Mapping[str, Any] | None) -> tuple[str, ...]:
    """What saving the content touches: where the record stands and where it would stand."""
    present = of_record(record)
    if not present or (content is not None and not named(content)):
        return EVERYWHERE
    return tuple(sorted({*present, *named(content or {})}))


def check_reach(name: str, content: Mapping[str, Any], actor: Actor) -> None:
    """Raises Forbidden when the content stands on surfaces the actor may not touch; an older version may reach further."""
    if not actor.may(name, surfaces=named(content)):
        where = ", ".join(named(content)) or "every surface"
        raise Forbidden(f"{actor.name} may not {name} on {where}", extra={"operation": name})
