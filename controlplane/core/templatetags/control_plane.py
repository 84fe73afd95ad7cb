"""How pages say operations, differences and addresses."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from django import template

from controlplane.core import registry

register = template.Library()
LONGEST = 160


@register.filter
def operation_title(name: str) -> str:
    """An operation's name in words; the name itself for one that is no longer there."""
    try:
        return registry.find(name).title
    except LookupError:
        return name


@register.filter
def pretty_json(value: Any) -> str:
    """JSON for people."""
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False)


@register.filter
def difference_lines(difference: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """The lines of an audit event's difference: path, before and after, each cut to a readable length."""
    for path, change in difference.items():
        if isinstance(change, Mapping) and {"from", "to"} & set(change):
            yield {"path": path, "before": _words(change.get("from")), "after": _words(change.get("to"))}
        else:
            yield {"path": path, "before": "", "after": _words(change)}


def _words(value: Any) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


@register.filter
def admin_verb(meta: Any) -> str:
    """The name of the address of a record's verbs."""
    return f"admin:{meta.app_label}_{meta.model_name}_verb"
