"""What a host may bound, and what it may count."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what waits for delivery: events and bytes in memory, bytes on disk."""

    memory_events: int = 20_000
    memory_bytes: int = 16 * 1024 * 1024
    disk_bytes: int = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class ClientStats:
    """Counts since this process made the client. ``sent`` events were answered: accepted + duplicate + quarantined.

    ``waiting`` are events in memory and on the wire; ``spilled`` went to disk at some time.
    """

    polls: int
    poll_failures: int
    tracked: int
    sent: int
    accepted: int
    duplicate: int
    quarantined: int
    dropped: int
    spilled: int
    waiting: int
    delivery_failures: int
