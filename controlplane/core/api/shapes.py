"""What the fields of a body may look like in JSON, judged before REST framework would convert one type to another."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from rest_framework import serializers

from controlplane.core.errors import FieldError

LONGEST_ECHO: Final = 60
# Field -> JSON type, what people call it, and what to write.
_TYPES: Final[tuple[tuple[type[Any], type[Any], str, str], ...]] = (
    (serializers.BooleanField, bool, "true or false", "Write true or false, without quotes."),
    (serializers.IntegerField, int, "a whole number", "Write a whole number, without quotes."),
    (serializers.ChoiceField, str, "text", "Write text in quotes."),
    (serializers.DateTimeField, str, "a time", 'Write it like "2026-12-01T08:00:00+01:00".'),
    (serializers.CharField, str, "text", "Write text in quotes."),
    (serializers.DictField, dict, "an object", "Write an object in braces."),
    (serializers.ListField, list, "a list", "Write a list in brackets."),
)


def unknown_fields(given: Iterable[Any], known: Iterable[str], *, prefix: str = "") -> list[FieldError]:
    """A complaint about every name that is not known; a misspelt one is asked "did you mean"."""
    listed = sorted(known)
    found = []
    for name in sorted(set(map(str, given)) - set(listed)):
        near = difflib.get_close_matches(name[:LONGEST_ECHO], listed, n=1)
        hint = f"Did you mean {near[0]}? " if near else ""
        fields = f"Known fields: {', '.join(listed)}." if listed else "Leave it out."
        found.append(FieldError(f"{prefix}{name[:LONGEST_ECHO]}", "there is no such field", hint + fields))
    return found


def wrong_types(values: Mapping[str, Any], fields: Mapping[str, Any]) -> list[FieldError]:
    """A complaint about every value of another JSON type than its field's, and every choice there is not."""
    return [
        complaint
        for name, field in fields.items()
        if values.get(name) is not None
        for complaint in _complaints(name, values[name], field)
    ]


def _is(value: Any, kind: type[Any]) -> bool:
    return isinstance(value, kind) and not (kind is int and isinstance(value, bool))


def _complaints(path: str, value: Any, field: Any) -> Iterator[FieldError]:
    wanted = next(
        ((kind, said, remedy) for known, kind, said, remedy in _TYPES if isinstance(field, known)), None
    )
    if wanted is None:
        return
    kind, said, remedy = wanted
    if not _is(value, kind):
        yield FieldError(path, f"is not {said}", remedy)
    elif isinstance(field, serializers.ChoiceField) and value not in field.choices:
        among = ", ".join(str(choice) for choice in field.choices)
        yield FieldError(path, f"{str(value)[:LONGEST_ECHO]!r} is not one of them", f"Choose one of {among}.")
    elif isinstance(field, serializers.ListField):
        for index, one in enumerate(value):
            if one is None:
                yield FieldError(f"{path}.{index}", "is null", "Leave it out.")
            else:
                yield from _complaints(f"{path}.{index}", one, field.child)
