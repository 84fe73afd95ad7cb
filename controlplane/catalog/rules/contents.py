"""The content of surfaces and audiences: which fields there are, of what shape, and what stands where nothing is said."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from controlplane.core.errors import FieldError

SURFACE_KINDS: Final = ("home-feed", "product-page", "email", "search", "ads", "other")
MAX_SLOTS: Final = 1_000
MAX_FALLBACK: Final = 500
MAX_CHAIN: Final = 8
WHOLE: Final = 10_000
"""Rates are integers in 1/10,000."""
DEFAULT_LOG_RATE: Final = 100

SURFACE_DEFAULTS: Final[Mapping[str, Any]] = {
    "kind": "other",
    "slots": 10,
    "fallback": [],
    "fallback_chain": [],
    "sensitive": False,
    "minors": False,
    "log_rate": DEFAULT_LOG_RATE,
}
_KEY = re.compile(r"^[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?$")


def surface_content(content: Mapping[str, Any], *, key: str) -> tuple[dict[str, Any], list[FieldError]]:
    """The surface's content with defaults filled in, and everything wrong with it; `key` is the surface's own."""
    errors = unknown_fields(content, SURFACE_DEFAULTS)
    whole = {
        name: content.get(name, list(default) if isinstance(default, list) else default)
        for name, default in SURFACE_DEFAULTS.items()
    }
    if whole["kind"] not in SURFACE_KINDS:
        errors.append(
            FieldError(
                "content.kind", f"{whole['kind']!r} is no kind", f"Choose one of {', '.join(SURFACE_KINDS)}."
            )
        )
    errors += _whole_number("slots", whole["slots"], least=1, most=MAX_SLOTS)
    errors += _whole_number("log_rate", whole["log_rate"], least=0, most=WHOLE)
    for flag in ("sensitive", "minors"):
        if not isinstance(whole[flag], bool):
            errors.append(FieldError(f"content.{flag}", "is not true or false", "Write true or false."))
    errors += _texts("fallback", whole["fallback"], most=MAX_FALLBACK, fits=_is_item_id, what="item ids")
    errors += _texts(
        "fallback_chain", whole["fallback_chain"], most=MAX_CHAIN, fits=_is_key, what="surface keys"
    )
    if isinstance(whole["fallback_chain"], list) and key in whole["fallback_chain"]:
        errors.append(
            FieldError(
                "content.fallback_chain",
                "a surface cannot fall back on itself",
                f"Take {key} out of the list.",
            )
        )
    return whole, errors


def audience_content(content: Mapping[str, Any]) -> tuple[dict[str, Any], list[FieldError]]:
    """The audience's content, and what is wrong with its shape; the condition itself is judged with the dictionary."""
    errors = unknown_fields(content, {"condition": None})
    if not isinstance(content.get("condition"), Mapping) or not content.get("condition"):
        errors.append(
            FieldError(
                "content.condition",
                "an audience needs a condition",
                'Write an object such as {"country": {"$in": ["DE", "FR"]}}.',
            )
        )
    return dict(content), errors


def unknown_fields(content: Mapping[str, Any], known: Mapping[str, Any]) -> list[FieldError]:
    """One error per field of the content that there is not."""
    return [
        FieldError(f"content.{name}", "there is no such field", f"Known fields: {', '.join(sorted(known))}.")
        for name in sorted(map(str, content))
        if name not in known
    ]


def _whole_number(name: str, value: Any, *, least: int, most: int) -> list[FieldError]:
    if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
        return []
    return [
        FieldError(
            f"content.{name}", f"is not a whole number from {least} to {most}", f"Write {least} to {most}."
        )
    ]


def _is_item_id(value: str) -> bool:
    return 0 < len(value) <= 128 and "\x00" not in value


def _is_key(value: str) -> bool:
    return bool(_KEY.fullmatch(value))


def _texts(
    name: str, value: Any, *, most: int, fits: Callable[[str], bool], what: str
) -> Sequence[FieldError]:
    field = f"content.{name}"
    if not isinstance(value, list):
        return [FieldError(field, "is not a list", f"Write a list of {what}.")]
    if len(value) > most:
        return [FieldError(field, f"holds {len(value)} entries", f"Keep to {most}.")]
    errors = [
        FieldError(f"{field}.{index}", f"{one!r} cannot be one of the {what}", "Take it out or correct it.")
        for index, one in enumerate(value)
        if not isinstance(one, str) or not fits(one)
    ]
    if not errors and len(set(value)) < len(value):
        twice = sorted({one for one in value if value.count(one) > 1})
        errors.append(FieldError(field, f"{', '.join(twice)} stands there twice", "Name each once."))
    return errors
