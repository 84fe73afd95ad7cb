"""Sweeps over events. Each looks for due work in PostgreSQL; lake work runs in a child, because workers fork."""

from datetime import UTC, datetime
from subprocess import CompletedProcess

import structlog
from celery import shared_task

from controlplane.events import selectors, services
from controlplane.events.addresses import run_in_child

log = structlog.get_logger(__name__)

MOVER_WAIT_SECONDS = "5"
MOVE_SECONDS = 300.0
UPKEEP_SECONDS = 1_500.0


@shared_task(name="events.move")
def move() -> str:
    """Move what waits to the lake. A mover that finds the lake busy leaves it to the next sweep."""
    if not selectors.lake_work_waits():
        return "nothing waits"
    return _outcome(
        "move", run_in_child("controlplane.events.mover", "--once", "--wait", "5", seconds=MOVE_SECONDS)
    )


@shared_task(name="events.compact")
def compact() -> str:
    """Join the lake's small files."""
    return _outcome("compact", run_in_child("django", "lake_work", "compact", seconds=UPKEEP_SECONDS))


@shared_task(name="events.retain")
def retain() -> str:
    """Drop events whose time is over, and ids past the window of de-duplication."""
    pruned = services.prune(at=datetime.now(UTC))
    log.info("events.pruned", **pruned)
    if not selectors.retention_days():
        return "no rules"
    return _outcome("retain", run_in_child("django", "lake_work", "retain", seconds=UPKEEP_SECONDS))


@shared_task(name="events.learn")
def learn() -> str:
    """Teach the attribute dictionary what the requests of logged decisions hold."""
    if not selectors.contexts_wait():
        return "nothing waits"
    return _outcome("learn", run_in_child("django", "lake_work", "learn", seconds=UPKEEP_SECONDS))


@shared_task(name="events.erase")
def erase() -> str:
    """Carry out the erasures people asked for."""
    if not selectors.pending_erasures().exists():
        return "nothing waits"
    return _outcome("erase", run_in_child("django", "lake_work", "erase", seconds=UPKEEP_SECONDS))


def _outcome(work: str, child: CompletedProcess[str]) -> str:
    if child.returncode == 75:
        return "lake busy"
    if child.returncode != 0:
        log.error("events.lake_work_failed", work=work, code=child.returncode, error=child.stderr[-2_000:])
        raise RuntimeError(f"{work} ended with {child.returncode}; the next sweep tries again")
    return child.stdout.strip()
