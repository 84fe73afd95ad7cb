"""Small judges of JSON content, so that every record complains about its fields in the same words.

A `Content` gathers everything wrong at once; ask it for each field, then `done()`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from controlplane.core.errors import FieldError, InvalidInput


class Content:
    """Reads fields of a mapping, filling defaults in and collecting what is wrong. `prefix` stands before field names."""

    def __init__(self, value: Mapping[str, Any], *, known: Sequence[str], prefix: str = "content.") -> None:
        self._value = value
        self._prefix = prefix
        self.errors: list[FieldError] = [
            FieldError(
                f"{prefix}{name}", "there is no such field", f"Known fields: {', '.join(sorted(known))}."
            )
            for name in sorted(map(str, value))
            if name not in known
        ]

    def wrong(self, name: str, message: str, remedy: str = "") -> None:
        """Note that a field is wrong."""
        self.errors.append(FieldError(f"{self._prefix}{name}", message, remedy))

    def given(self, name: str) -> Any:
        """The field as it was sent, or None."""
        return self._value.get(name)

    def text(self, name: str, *, default: str | None = None, most: int = 1_000) -> str:
        value = self._value.get(name, default)
        if not isinstance(value, str) or (default is None and not value.strip()):
            self.wrong(name, "is required" if value in (None, "") else "is not text", "Write some text.")
            return ""
        if len(value) > most:
            self.wrong(name, f"is longer than {most} characters", "Shorten it.")
        return value

    def choice(self, name: str, among: Sequence[str], *, default: str | None = None) -> str:
        value = self._value.get(name, default)
        if value not in among:
            self.wrong(
                name,
                f"{value!r} is not one of them" if value is not None else "is required",
                f"Choose one of {', '.join(among)}.",
            )
            return among[0]
        return str(value)

    def flag(self, name: str, *, default: bool) -> bool:
        value = self._value.get(name, default)
        if not isinstance(value, bool):
            self.wrong(name, "is not true or false", "Write true or false.")
            return default
        return value

    def whole(self, name: str, *, least: int, most: int, default: int | None = None) -> int | None:
        value = self._value.get(name, default)
        if value is None and default is None and name not in self._value:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            self.wrong(name, f"is not a whole number from {least} to {most}", f"Write {least} to {most}.")
            return default
        return value

    def number(self, name: str, *, least: float, most: float, default: float | None = None) -> float | None:
        value = self._value.get(name, default)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            self.wrong(name, "is not a finite number", f"Write a number from {least:g} to {most:g}.")
            return default
        if not least <= value <= most:
            self.wrong(
                name, f"lies outside {least:g} to {most:g}", f"Write a number from {least:g} to {most:g}."
            )
            return default
        # 2.0 and 2 are one number and get one spelling, so that equal content has equal digests.
        return int(value) if float(value).is_integer() else value

    def texts(self, name: str, *, most: int, longest: int = 128) -> list[str]:
        """A list of distinct texts; absent is empty."""
        value = self._value.get(name, [])
        if not isinstance(value, list) or not all(
            isinstance(one, str) and 0 < len(one) <= longest for one in value
        ):
            self.wrong(name, f"is not a list of texts of 1 to {longest} characters", "Write a list.")
            return []
        twice = sorted({one for one in value if value.count(one) > 1}) if len(value) < 2_000 else []
        if twice:
            self.wrong(name, f"names {', '.join(twice[:5])} twice", "Name each once.")
        if len(value) > most:
            self.wrong(
                name, f"has {len(value)} entries; at most {most} are allowed", "Split it, or use a condition."
            )
        return list(value)

    def condition(self, name: str) -> dict[str, Any] | None:
        """A condition object or nothing; its meaning is judged with the attribute dictionary."""
        value = self._value.get(name)
        if value is None or value == {}:
            return None
        if not isinstance(value, dict):
            self.wrong(
                name, "is not a condition", 'Write an object such as {"country": "DE"}, or leave it out.'
            )
            return None
        return value

    def windows(self, name: str) -> list[list[str | None]]:
        """Pairs of from and until in RFC 3339 with an offset, either of them null; returned in UTC, sorted."""
        value = self._value.get(name, [])
        if not isinstance(value, list):
            self.wrong(name, "is not a list of [from, until]", "Write a list of pairs.")
            return []
        found: list[list[str | None]] = []
        for index, pair in enumerate(value):
            window = self._window(f"{name}.{index}", pair)
            if window is not None:
                found.append(window)
        return sorted(found, key=lambda window: (window[0] or "", window[1] or "~"))

    def _window(self, path: str, pair: Any) -> list[str | None] | None:
        if not isinstance(pair, list) or len(pair) != 2:
            self.wrong(path, "is not [from, until]", "Write two times, either of them null.")
            return None
        moments = [self.moment(f"{path}.{side}", moment) for side, moment in enumerate(pair)]
        if moments[0] and moments[1] and moments[0] >= moments[1]:
            self.wrong(path, "ends before it starts", "Put the earlier time first.")
            return None
        return [utc(moment) if moment else None for moment in moments]

    def moment(self, path: str, value: Any) -> datetime | None:
        """A time in RFC 3339 with an offset, or None when it is none or something is wrong."""
        if value is None:
            return None
        try:
            moment = datetime.fromisoformat(value)
        except (TypeError, ValueError):
            self.wrong(path, f"{value!r} is not a time", 'Write it like "2026-12-01T08:00:00+01:00".')
            return None
        if moment.tzinfo is None:
            self.wrong(path, f"{value} has no time zone", 'Add an offset, such as "+01:00" or "Z".')
            return None
        try:
            return moment.astimezone(UTC)
        except OverflowError:
            self.wrong(path, f"{value} is beyond the calendar", "Choose a year from 1 to 9999.")
            return None

    def done(self, what: str) -> None:
        """Raises InvalidInput with everything that is wrong, if anything is."""
        if self.errors:
            raise InvalidInput(f"The {what} is not valid.", errors=self.errors)


def utc(moment: datetime) -> str:
    """The moment as rulesets write it: `2026-12-01T07:00:00Z`, with microseconds only where there are some."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
