"""Software versions as text that sorts in version order, as GrowthBook's version operators compare them."""

import re

from controlplane.engine.coercion import is_number, number_text

_IGNORED = re.compile(r"^v|\+.*$")
_SEPARATOR = re.compile(r"[-.]")


def version_key(value: object) -> str:
    """Sortable key of a version: "v1.2.3+build" and "1.2.3" are equal, "1.0.0-beta" sorts before "1.0.0".

    Numeric parts are padded to five characters; a version of exactly three parts (no pre-release) gets a last part
    that sorts after every pre-release. Anything that is no version reads as "0".
    """
    if isinstance(value, str) and value:
        text = value
    elif is_number(value) and value != 0 and isinstance(value, (int, float)):
        text = number_text(value)
    else:
        text = "0"
    parts = _SEPARATOR.split(_IGNORED.sub("", text))
    if len(parts) == 3:
        parts.append("~")
    return "-".join(part.rjust(5) if part.isascii() and part.isdigit() else part for part in parts)
