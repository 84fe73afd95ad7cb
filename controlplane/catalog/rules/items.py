"""One line of an item upload: bytes to a statement about one item, or the reason why not."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any, Final

from controlplane.core.errors import FieldError
from controlplane.core.strict_json import parse_line

MAX_LINE: Final = 256 * 1024
"""Bytes of one line."""
MAX_ATTRIBUTES: Final = 200
MAX_SIGNALS: Final = 100
MAX_REGIONS: Final = 300
FIELDS: Final = (
    "item_id", "title", "image_url", "attributes", "signals", "provider", "available", "regions", "deleted",
)  # fmt: skip
_NAME = re.compile(r"^[A-Za-z_][A-Za-z0-9_-]{0,79}$")
_REGION = re.compile(r"^[A-Za-z0-9-]{1,16}$")
_HTTPS = re.compile(r"^https://[^\s/?#]+(?:[/?#]\S*)?$")


class Refused(Exception):
    """The line cannot be taken in; the error says which field and what to do."""

    def __init__(self, item_id: str, field: str, message: str, remedy: str) -> None:
        super().__init__(message)
        self.item_id = item_id
        self.error = FieldError(field, message, remedy)


@dataclass(frozen=True, slots=True)
class Statement:
    """What one line says of one item. Fields it does not mention are not in `said` and stay as they are."""

    line: int
    item_id: str
    said: Mapping[str, Any]


def read_line(raw: bytes, *, line: int) -> Statement:
    """The statement of line `line`. Raises Refused."""
    if len(raw) > MAX_LINE:
        raise Refused(
            "",
            "",
            f"the line has {len(raw)} bytes",
            f"Keep to {MAX_LINE} bytes; long texts do not belong here.",
        )
    try:
        value = parse_line(raw)
    except ValueError as error:
        raise Refused("", "", str(error), "Send one JSON object per line.") from error
    if not isinstance(value, dict):
        raise Refused("", "", "the line is not a JSON object", "Send one JSON object per line.")
    return statement(value, line=line)


def statement(value: dict[str, Any], *, line: int) -> Statement:
    """A parsed object as a statement. Raises Refused, naming the first field that is wrong."""
    item_id = value.get("item_id")
    if not isinstance(item_id, str) or not item_id.strip() or len(item_id) > 128:
        raise Refused(
            item_id[:128] if isinstance(item_id, str) else "",
            "item_id",
            "is missing or not a text of 1 to 128 characters",
            'Give every item an id: {"item_id": "sku-1", …}.',
        )
    for name, given in value.items():
        check = _CHECKS.get(name)
        if check is None:
            raise Refused(
                item_id, name[:160], "there is no such field",
                f"Known fields: {', '.join(FIELDS)}; free data goes in attributes.",
            )  # fmt: skip
        problem = check(given)
        if problem is not None:
            raise Refused(item_id, *problem)
    return Statement(line, item_id, {name: given for name, given in value.items() if name != "item_id"})


_Problem = tuple[str, str, str] | None
_Check = Callable[[Any], _Problem]


def _text(field: str, most: int) -> _Check:
    def check(value: Any) -> _Problem:
        if isinstance(value, str) and len(value) <= most:
            return None
        return field, f"is not a text of at most {most} characters", "Shorten it or leave it out."

    return check


def _flag(field: str) -> _Check:
    def check(value: Any) -> _Problem:
        return None if isinstance(value, bool) else (field, "is not true or false", "Write true or false.")

    return check


def _image_url(value: Any) -> _Problem:
    if value == "" or (isinstance(value, str) and len(value) <= 2_000 and _HTTPS.match(value)):
        return None
    return (
        "image_url",
        "is not an https address",
        "Images are shown over https only; leave it out if there is none.",
    )


def _attributes(value: Any) -> _Problem:
    if not isinstance(value, dict):
        return "attributes", "is not an object", 'Write {"brand": "Acme", …}.'
    if len(value) > MAX_ATTRIBUTES:
        return "attributes", f"has {len(value)} names", f"Keep to {MAX_ATTRIBUTES}."
    for name in value:
        if name in {"id", "available", "signals"}:
            return f"attributes.{name}", "this name is taken by the item itself", "Choose another name."
        if not _NAME.match(name):
            return (
                f"attributes.{name[:80]}",
                "cannot be the name of an attribute",
                "Use letters, digits, _ and -, beginning with a letter; conditions read dots as steps.",
            )
    return None


def _signals(value: Any) -> _Problem:
    if not isinstance(value, dict):
        return "signals", "is not an object", 'Write {"toxicity": 0.2, …}.'
    if len(value) > MAX_SIGNALS:
        return "signals", f"has {len(value)} names", f"Keep to {MAX_SIGNALS}."
    for name, number in value.items():
        if not _NAME.match(name):
            return (
                f"signals.{name[:80]}",
                "cannot be the name of a signal",
                "Use letters, digits, _ and -, beginning with a letter.",
            )
        if isinstance(number, bool) or not isinstance(number, int | float) or not isfinite(number):
            return (
                f"signals.{name}",
                "is not a finite number",
                "Signals are numbers; other facts are attributes.",
            )
    return None


def _regions(value: Any) -> _Problem:
    if value is None:
        return None
    remedy = 'Write a list such as ["DE", "FR"]; null means everywhere; for nowhere set available to false.'
    if not isinstance(value, list) or not value or len(value) > MAX_REGIONS:
        return "regions", f"is not a list of 1 to {MAX_REGIONS} regions", remedy
    for index, region in enumerate(value):
        if not isinstance(region, str) or not _REGION.match(region):
            return f"regions.{index}", "is not a region code", remedy
    if len(set(value)) < len(value):
        return "regions", "names a region twice", "Name each once."
    return None


_CHECKS: Final[Mapping[str, _Check]] = {
    "item_id": _text("item_id", 128),
    "title": _text("title", 300),
    "image_url": _image_url,
    "attributes": _attributes,
    "signals": _signals,
    "provider": _text("provider", 128),
    "available": _flag("available"),
    "regions": _regions,
    "deleted": _flag("deleted"),
}
