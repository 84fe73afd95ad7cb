"""Windows as people write them: local times of a named zone, one window a line, kept as UTC instants."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

SHOWN = "%Y-%m-%dT%H:%M"
_LINE = re.compile(r"^(?:(?P<start>\S+(?: \d\d:\d\d)?)\s+)?to(?:\s+(?P<end>\S+(?: \d\d:\d\d)?))?$")
Window = list[str | None]


class WindowError(ValueError):
    """A local time that cannot be meant. `message` says what is wrong, `remedy` what to write instead."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(f"{message} {remedy}")
        self.message = message
        self.remedy = remedy


@cache
def zone_names() -> tuple[str, ...]:
    """Every time zone this machine knows, UTC first."""
    return ("UTC", *sorted(available_timezones() - {"UTC"}))


def zone(name: str) -> ZoneInfo:
    """The time zone of that name. Raises WindowError when there is none."""
    if name not in zone_names():
        raise WindowError(f"{name!r} is no time zone", 'Choose one such as "Europe/Berlin".')
    return ZoneInfo(name)


def to_utc(text: str, zone_name: str, *, ends: bool = False) -> str | None:
    """A local time as an RFC 3339 instant in UTC; None for none.

    A time the clocks skip raises WindowError that names the times around the gap. A time that comes twice means the
    first when something starts and the second when it `ends`, so that no hour people meant is lost.

    >>> to_utc("2026-07-01T08:00", "Europe/Berlin")
    '2026-07-01T06:00:00Z'
    """
    if not text.strip():
        return None
    try:
        naive = datetime.fromisoformat(text.strip())
    except ValueError:
        raise WindowError(f"{text!r} is not a time.", 'Write it like "2026-12-01 08:00".') from None
    if naive.tzinfo is not None:
        return _written(naive)
    there = zone(zone_name)
    local = naive.replace(tzinfo=there, fold=1 if ends else 0)
    if local.astimezone(UTC).astimezone(there).replace(tzinfo=None) != naive:
        before, after = _around_gap(naive, there)
        raise WindowError(
            f"{naive:%H:%M} on {naive:%d %B %Y} does not exist in {zone_name}: the clocks go from {before:%H:%M} to"
            f" {after:%H:%M}.",
            f"Write {after:%H:%M} or a time before {before:%H:%M}.",
        )
    return _written(local)


def _around_gap(naive: datetime, there: ZoneInfo) -> tuple[datetime, datetime]:
    """The wall-clock times at which the gap that holds `naive` begins and ends."""
    readings = [naive.replace(tzinfo=there, fold=fold) for fold in (0, 1)]
    low, high = sorted(reading.timestamp() for reading in readings)
    before, after = (reading.utcoffset() or timedelta() for reading in readings)
    while high - low > 1:
        middle = (low + high) // 2
        passed = datetime.fromtimestamp(middle, there).utcoffset() != before
        low, high = (low, middle) if passed else (middle, high)
    edge = datetime.fromtimestamp(high, UTC).replace(tzinfo=None)
    return edge + before, edge + after


def _written(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def to_local(text: str | None, zone_name: str) -> str:
    """A UTC instant as the local time a form shows, to the minute; '' for none.

    >>> to_local("2026-07-01T06:00:00Z", "Europe/Berlin")
    '2026-07-01T08:00'
    """
    return datetime.fromisoformat(text).astimezone(zone(zone_name)).strftime(SHOWN) if text else ""


def read_lines(text: str, zone_name: str) -> Iterator[tuple[int, Window]]:
    """Line number (from 1) and window of each line `2026-12-01 08:00 to 2026-12-05 20:00`; one side may be left out.

    Raises WindowError that names the line.
    """
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        found = _LINE.match(line.strip())
        if found is None:
            raise WindowError(
                f"Line {number}, {line.strip()!r}, is no window.",
                'Write "2026-12-01 08:00 to 2026-12-05 20:00".',
            )
        try:
            start = to_utc(found["start"] or "", zone_name)
            end = to_utc(found["end"] or "", zone_name, ends=True)
        except WindowError as error:
            raise WindowError(f"Line {number}: {error.message}", error.remedy) from None
        yield number, [start, end]


def write_lines(windows: Sequence[Window], zone_name: str) -> str:
    """Windows as `read_lines` reads them."""
    return "\n".join(
        f"{to_local(start, zone_name).replace('T', ' ')} to {to_local(end, zone_name).replace('T', ' ')}".strip()
        for start, end in windows
    )


def overlap(one: Sequence[Window], other: Sequence[Window]) -> bool:
    """Whether there is an instant in both lists of windows; no window is always."""
    return any(
        (start is None or other_end is None or start < other_end)
        and (end is None or other_start is None or other_start < end)
        for start, end in _instants(one)
        for other_start, other_end in _instants(other)
    )


def _instants(windows: Sequence[Window]) -> list[tuple[datetime | None, datetime | None]]:
    if not windows:
        return [(None, None)]
    return [(_instant(start), _instant(end)) for start, end in windows]


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
