"""The sweep of rulesets: what a crash, a lost message or the calendar left undone is done here, late but surely."""

from __future__ import annotations

from datetime import UTC, datetime

import structlog
from celery import shared_task

from controlplane.core.errors import Unavailable
from controlplane.rulesets import selectors, services

log = structlog.get_logger(__name__)


@shared_task(name="rulesets.sweep")
def sweep() -> dict[str, int]:
    """Release holds whose time is over and publish every environment; says the head of each."""
    now = datetime.now(UTC)
    services.expire_holds(at=now)
    heads: dict[str, int] = {}
    for environment in selectors.environments():
        try:
            heads[environment] = services.publish(environment, cause="", at=now, wait=5.0).revision
        except Unavailable as busy:
            log.info("sweep_skipped", environment=environment, reason=busy.detail)
    return heads
