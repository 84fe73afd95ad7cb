"""The parts of a client that belong to one process: sockets, threads and file handles. A fork's child gets new ones."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from controlplane.client.buffer import EventBuffer
from controlplane.client.cache import RulesetCache
from controlplane.client.delivery import Delivery
from controlplane.client.errors import ClientError
from controlplane.client.holding import Holder
from controlplane.client.polling import Poller, PollHooks
from controlplane.client.settings import Limits
from controlplane.client.spill import Spill
from controlplane.client.transport import Transport


@dataclass(frozen=True, slots=True)
class Config:
    """What the host asked for; times in seconds."""

    url: str
    token: str
    timeout: float
    poll_seconds: float
    stale_seconds: float
    flush_seconds: float
    limits: Limits
    spill_directory: Path | None
    clock: Callable[[], datetime]
    source: str


@dataclass(frozen=True, slots=True)
class Hooks:
    """Where the parts say what happened; none of them may raise."""

    on_error: Callable[[ClientError], None]
    on_stale: Callable[[float], None]
    on_dropped: Callable[[int, str], None]


@dataclass(frozen=True, slots=True)
class Running:
    """One process's parts, not yet started."""

    transport: Transport
    buffer: EventBuffer
    poller: Poller
    delivery: Delivery


def assemble(config: Config, *, holder: Holder, cache: RulesetCache | None, hooks: Hooks) -> Running:
    """Make the parts and wire them to each other."""
    transport = Transport(config.url, config.token, timeout=config.timeout, source=config.source)
    spill = None
    if config.spill_directory is not None:
        spill = Spill(config.spill_directory, max_bytes=config.limits.disk_bytes)
    buffer = EventBuffer(
        max_events=config.limits.memory_events,
        max_bytes=config.limits.memory_bytes,
        spill=spill,
        on_dropped=hooks.on_dropped,
    )
    poller = Poller(
        transport=transport,
        holder=holder,
        cache=cache,
        poll_seconds=config.poll_seconds,
        stale_seconds=config.stale_seconds,
        clock=config.clock,
        hooks=PollHooks(on_error=hooks.on_error, on_stale=hooks.on_stale),
    )
    delivery = Delivery(
        transport=transport, buffer=buffer, flush_seconds=config.flush_seconds, on_error=hooks.on_error
    )
    return Running(transport, buffer, poller, delivery)
