"""Instants and windows without a time-zone database: a UTC instant becomes text that sorts in time order.

`2026-11-23T10:00:00.500000Z` becomes `2026-11-23T10:00:00.5`: the Z and trailing zeros of the fraction are dropped, so
comparing two such texts compares the instants.
"""

import re
from collections.abc import Iterable

_INSTANT = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,6})?Z",
    re.ASCII,
)
_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)

Window = tuple[str, str]
FIRST = ""
LAST = "~"


def instant_key(text: object) -> str | None:
    """Sortable key of a `YYYY-MM-DDTHH:MM:SS[.ffffff]Z` instant; None when the text is not one.

    >>> instant_key("2026-11-23T10:00:00.500Z"), instant_key("2026-02-30T00:00:00Z")
    ('2026-11-23T10:00:00.5', None)
    """
    if not isinstance(text, str):
        return None
    match = _INSTANT.fullmatch(text)
    if match is None:
        return None
    year, month, day, _, fraction = match.groups()
    y, m, d = int(year), int(month), int(day)
    if y == 0 or not 1 <= m <= 12 or not 1 <= d <= _days_in(y, m):
        return None
    key = text[:-1]
    return key.rstrip("0").rstrip(".") if fraction else key


def _days_in(year: int, month: int) -> int:
    leap = month == 2 and year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return _DAYS[month - 1] + leap


def window_keys(windows: object) -> tuple[Window, ...] | None:
    """The windows as pairs of keys, [from, until); an open end sorts before or after everything.

    An empty tuple means always. None means that the windows could not be read.
    """
    if windows is None:
        return ()
    if not isinstance(windows, (list, tuple)):
        return None
    keys = []
    for window in windows:
        if not isinstance(window, (list, tuple)) or len(window) != 2:
            return None
        start = FIRST if window[0] is None else instant_key(window[0])
        end = LAST if window[1] is None else instant_key(window[1])
        if start is None or end is None:
            return None
        keys.append((start, end))
    return tuple(keys)


def open_at(windows: Iterable[Window], at: str) -> bool:
    """Whether an instant key lies in one of the windows. (Callers treat an empty tuple as always.)"""
    return any(start <= at < end for start, end in windows)
