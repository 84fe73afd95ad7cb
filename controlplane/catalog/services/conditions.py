"""Judging conditions before they are saved: the engine must understand them, and the dictionary must know their words."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from difflib import get_close_matches
from typing import Any, Final

from controlplane.catalog import selectors
from controlplane.core.errors import FieldError, InvalidInput
from controlplane.engine.conditions import compile_condition, condition_attributes
from controlplane.engine.problems import ConditionError

SIGNALS: Final = "signals"
# What the engine itself provides: unit ids and the surface to request conditions, an item's own facts to item conditions,
# and the request attributes that guardrails with an age or region gate read.
BUILT_IN: Final[Mapping[str, frozenset[str]]] = {
    "request": frozenset({"user", "anonymous", "session", "request", "surface", "age", "region", "country"}),
    "item": frozenset({"id", "available", SIGNALS}),
}


def check_condition(condition: Any, subject: str, field: str = "condition") -> None:
    """Whether a condition on `request` or `item` attributes may be saved; None and {} may.

    Raises InvalidInput that names the place (below `field`), what is wrong, and the nearest names the dictionary has.
    While the dictionary knows nothing of the subject, any attribute passes.
    """
    try:
        compile_condition(condition, strict=True)
    except ConditionError as error:
        place = f"{field}.{error.path}" if error.path else field
        raise InvalidInput.on(place, error.message, _sentence(error.remedy)) from error
    read = condition_attributes(condition)
    if not read:
        return
    known = selectors.attribute_names(subject)
    errors = [
        _unknown(name, subject, known, field) for name in sorted(read) if not _knows(name, subject, known)
    ]
    if errors:
        raise InvalidInput("; ".join(f"{error.field}: {error.message}" for error in errors), errors=errors)


def check_signal(signal: str, field: str = "signal") -> None:
    """Whether some item has the signal; any passes while no item has signals. Raises InvalidInput with the nearest names."""
    known = selectors.attribute_names("item")
    if not _knows(f"{SIGNALS}.{signal}", "item", known):
        names = [name.removeprefix(f"{SIGNALS}.") for name in known if name.startswith(f"{SIGNALS}.")]
        raise InvalidInput.on(field, f"no item has a signal {signal!r}", _nearest(signal, names))


def _knows(name: str, subject: str, known: Mapping[str, str]) -> bool:
    """Whether the dotted name leads somewhere the dictionary knows, or somewhere it cannot know about."""
    first, _, rest = name.partition(".")
    if first == SIGNALS and subject == "item":
        return not rest or name in known or not any(one.startswith(f"{SIGNALS}.") for one in known)
    if first in BUILT_IN[subject] or name in known:
        return True
    words = [one for one in known if one.partition(".")[0] != SIGNALS] if subject == "item" else known
    if not words:
        return True
    steps = name.split(".")
    for length in range(len(steps) - 1, 0, -1):
        above = ".".join(steps[:length])
        if above in known:
            within = any(one.startswith(f"{above}.") for one in known)
            return known[above] == "list" or (known[above] == "object" and not within)
    return False


def _unknown(name: str, subject: str, known: Mapping[str, str], field: str) -> FieldError:
    return FieldError(
        f"{field}.{name}",
        f"no {subject} has an attribute {name!r}",
        _nearest(name, known.keys() | BUILT_IN[subject]),
    )


def _nearest(name: str, known: Collection[str]) -> str:
    near = get_close_matches(name, sorted(known), n=3, cutoff=0.6)
    if near:
        return f"Did you mean {' or '.join(near)}? A new attribute can be added to the dictionary first."
    return "Check the spelling in the attribute dictionary, or add the attribute to it first."


def _sentence(remedy: str) -> str:
    return f"{remedy[:1].upper()}{remedy[1:]}." if remedy and not remedy.endswith(".") else remedy
