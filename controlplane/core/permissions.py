"""What a right covers. The table itself is `controlplane/roles.py`, handed over by the settings."""

from __future__ import annotations

from collections.abc import Mapping

from django.conf import settings


def matches(pattern: str, permission: str) -> bool:
    """Whether a right such as `overrides.*`, `*.view`, `core.*_token` or `*` covers the permission.

    >>> matches("overrides.*", "overrides.publish"), matches("*.view", "catalog.view"), matches("overrides.*", "catalog.view")
    (True, True, False)
    """
    if pattern == "*":
        return True
    wanted, given = pattern.split(".", 1), permission.split(".", 1)
    return len(given) == len(wanted) == 2 and all(_part(w, g) for w, g in zip(wanted, given, strict=True))


def _part(pattern: str, word: str) -> bool:
    head, star, tail = pattern.partition("*")
    return (
        word == pattern
        if not star
        else len(word) >= len(head) + len(tail) and word.startswith(head) and word.endswith(tail)
    )


def allows(role: str, permission: str) -> bool:
    """Whether the role holds the permission; unknown roles hold none."""
    table: Mapping[str, frozenset[str]] = settings.ROLES
    return any(matches(pattern, permission) for pattern in table.get(role, frozenset()))


def system_actor_may(name: str, permission: str) -> bool:
    """Whether the named part of the system holds the permission."""
    table: Mapping[str, frozenset[str]] = settings.SYSTEM_ACTORS
    return any(matches(pattern, permission) for pattern in table.get(name, frozenset()))
