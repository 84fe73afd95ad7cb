"""What an experiment can be, and what it can become. Data, so that every door reads the same table."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from controlplane.core.errors import Conflict


class Status(StrEnum):
    DRAFT = "draft"
    RUNNING = "running"
    STOPPED = "stopped"


# A stopped experiment that runs again does so in a new phase, with a new salt.
MOVES: Final[dict[Status, frozenset[Status]]] = {
    Status.DRAFT: frozenset({Status.RUNNING}),
    Status.RUNNING: frozenset({Status.STOPPED}),
    Status.STOPPED: frozenset({Status.RUNNING}),
}


def move(status: str, *, to: Status) -> Status:
    """The new status. Raises Conflict when the table has no such move."""
    if to not in MOVES[Status(status)]:
        raise Conflict(f"An experiment that is {status} cannot become {to.value}.")
    return to
