"""Reading published CSV files: the columns that must be there, and errors that name file, line and remedy."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from controlplane.core.errors import InvalidInput, NotFound


def rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and named values of every row. Raises NotFound without the file, InvalidInput when it is not that file."""
    if not path.is_file():
        raise NotFound(f"There is no file {path}; give the folder as its publisher lays it out.")
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        missing = sorted(set(columns) - set(reader.fieldnames or ()))
        if missing:
            raise InvalidInput(f"{path} has no column {', '.join(missing)}; is it the published file?")
        for row in reader:
            if None in row or any(row[column] is None for column in columns):
                raise InvalidInput(
                    f"{path}, line {reader.line_num}: the row has the wrong number of columns."
                )
            yield reader.line_num, row


def number(path: Path, line: int, name: str, text: str) -> float:
    """The value as a number. Raises InvalidInput naming file, line and column."""
    try:
        return float(text)
    except ValueError:
        raise InvalidInput(f"{path}, line {line}: {name} is {text!r}, not a number.") from None


def flag(path: Path, line: int, name: str, text: str) -> bool:
    """The value as true or false, as Python or C writes it. Raises InvalidInput naming file, line and column."""
    known = {"true": True, "1": True, "false": False, "0": False}
    try:
        return known[text.strip().lower()]
    except KeyError:
        raise InvalidInput(f"{path}, line {line}: {name} is {text!r}, neither true nor false.") from None
