"""System checks: every dotted path in the settings resolves, every system actor and reaction is known."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from django.utils.module_loading import import_string

LISTS = ("RULESET_SOURCES", "RULESET_CHECKS", "POLICIES", "DIAGNOSTICS", "HOME_PANELS")
SINGLE = ("RULESET_FACTS", "WRITE_ANSWER", "ENVIRONMENTS")


def dotted_paths() -> Iterator[tuple[str, str]]:
    """Setting name and dotted path, for each path the settings hold."""
    for name in LISTS:
        yield from ((name, path) for path in getattr(settings, name))
    for name in SINGLE:
        if getattr(settings, name):
            yield name, getattr(settings, name)
    yield from (("REACTIONS", path) for path in settings.REACTIONS.values())


@register()
def paths_resolve(**_: Any) -> list[CheckMessage]:
    """One error per path that names nothing callable."""
    problems: list[CheckMessage] = []
    for setting, path in dotted_paths():
        try:
            found = import_string(path)
        except ImportError as error:
            problems.append(
                Error(f"{setting} names {path}, which cannot be imported: {error}", id="core.E001")
            )
            continue
        if not callable(found):
            problems.append(Error(f"{setting} names {path}, which is not callable", id="core.E002"))
    return problems
