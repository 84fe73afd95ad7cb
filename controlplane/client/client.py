"""The one object a serving system makes: it holds the ruleset, decides locally and reports events."""

import atexit
import functools
import logging
import os
import threading
import time
import uuid
import weakref
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Concatenate, Literal, ParamSpec, Self, TypeVar

from controlplane.client import events
from controlplane.client.cache import RulesetCache, identity
from controlplane.client.errors import (
    ClientError,
    EventRefused,
    EventsDropped,
    HostCallFailed,
)
from controlplane.client.holding import Held, Holder
from controlplane.client.parts import Config, Hooks, Running, assemble
from controlplane.client.safe import host_order, safe_request
from controlplane.client.settings import ClientStats, Limits
from controlplane.engine import Assignment, Candidate, Decision, Request, Ruleset, assign, decide

logger = logging.getLogger(__name__)

EXIT_SECONDS = 2.0
GRACE_SECONDS = 0.25
NO_ASSIGNMENTS: tuple[Assignment, ...] = ()
P = ParamSpec("P")
T = TypeVar("T")


def utc_now() -> datetime:
    """The serving clock; hosts and tests may give another."""
    return datetime.now(UTC)


def new_id() -> str:
    """A fresh decision or event id."""
    return uuid.uuid4().hex


def _safe(
    default: T,
) -> Callable[[Callable[Concatenate["Client", P], T]], Callable[Concatenate["Client", P], T]]:
    """A public method never raises into the host: it reports and answers ``default``."""

    def decorate(method: Callable[Concatenate["Client", P], T]) -> Callable[Concatenate["Client", P], T]:
        @functools.wraps(method)
        def guarded(self: "Client", /, *args: P.args, **kwargs: P.kwargs) -> T:
            try:
                return method(self, *args, **kwargs)
            except Exception as error:  # noqa: BLE001 - the host's request goes on whatever happens here
                self.report(HostCallFailed(f"{method.__name__}: {type(error).__name__}: {error}"))
                return default

        return guarded

    return decorate


class Client:
    """Holds the newest ruleset of one environment, decides with it in this process, and delivers events.

    Making one reads the last good ruleset from ``cache_dir`` and starts two daemon threads; it does no network I/O
    itself. No method raises into the host's request: errors go to ``on_error`` and to the log, and the answer is the
    safe one. May be shared by threads and survives a fork (the child starts threads of its own on first use and leaves
    the parent's waiting events to the parent). Only the constructor raises, ValueError, for settings that cannot work.

    ``source="demo"`` labels every event as synthetic. Times are seconds.
    ``on_stale(age)`` is called when nothing confirmed the ruleset for ``stale_seconds``.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        cache_dir: str | os.PathLike[str] | None = None,
        poll_seconds: float = 5.0,
        timeout: float = 2.0,
        environment: str | None = None,
        on_stale: Callable[[float], object] | None = None,
        on_error: Callable[[ClientError], object] | None = None,
        clock: Callable[[], datetime] = utc_now,
        stale_seconds: float = 60.0,
        flush_seconds: float = 1.0,
        limits: Limits | None = None,
        ids: Callable[[], str] = new_id,
        source: Literal["live", "demo"] = "live",
    ) -> None:
        if not url.startswith(("http://", "https://")):
            raise ValueError("url must start with http:// or https://")
        if not token or not token.isascii() or not token.isprintable() or " " in token:
            raise ValueError("token must be printable ASCII without spaces")
        if min(poll_seconds, timeout, stale_seconds, flush_seconds) <= 0:
            raise ValueError("poll_seconds, timeout, stale_seconds and flush_seconds must be positive")
        directory = Path(cache_dir) if cache_dir is not None else None
        name = identity(token=token, environment=environment)
        self._config = Config(
            url=url,
            token=token,
            timeout=timeout,
            poll_seconds=poll_seconds,
            stale_seconds=stale_seconds,
            flush_seconds=flush_seconds,
            limits=limits or Limits(),
            spill_directory=directory / f"events-{name}" if directory is not None else None,
            clock=clock,
            source=source,
        )
        self._clock, self._ids = clock, ids
        self._cache = RulesetCache(directory, name) if directory is not None else None
        self._holder = Holder(environment=environment)
        self._closed = False
        self._on_stale, self._on_error = on_stale, on_error
        if self._cache is not None and (problem := self._holder.restore(self._cache)) is not None:
            self.report(problem)
        self._running = self._assemble()
        self._started_in = 0
        self._starting = threading.Lock()
        self._ensure_started()
        _living.add(self)

    # What is in force

    @property
    def ruleset(self) -> Ruleset | None:
        """The ruleset in force; None before the first one arrived."""
        held = self._held()
        return held.ruleset if held else None

    @property
    def revision(self) -> int | None:
        """Its number."""
        held = self._held()
        return held.ruleset.revision if held else None

    @property
    def environment(self) -> str | None:
        """The environment it belongs to."""
        held = self._held()
        return held.ruleset.environment if held else None

    @property
    def age_seconds(self) -> float | None:
        """Seconds since the server last confirmed that this ruleset is the newest; None without one."""
        held = self._held()
        return self._age(held) if held else None

    @_safe(False)
    def wait_until_ready(self, timeout: float) -> bool:
        """Block until a ruleset is in force (from disk or from the server), at most ``timeout`` seconds."""
        self._ensure_started()
        return self._holder.wait_for(revision=0, timeout=timeout)

    @_safe(False)
    def wait_for_revision(self, revision: int, timeout: float) -> bool:
        """Block until a ruleset of at least this number is in force, at most ``timeout`` seconds."""
        self._ensure_started()
        return self._holder.wait_for(revision=revision, timeout=timeout)

    # Deciding

    def request(
        self,
        surface: str,
        unit_ids: Mapping[str, str],
        context: Mapping[str, Any] | None = None,
        candidates: Iterable[Candidate] = (),
        slots: int | None = None,
    ) -> Request:
        """A fully described request at this moment with a fresh decision id, to decide and then report."""
        try:
            return Request(
                surface=surface,
                at=events.instant(self._clock()),
                unit_ids=dict(unit_ids),
                context=dict(context or {}),
                candidates=tuple(candidates),
                slots=slots,
                decision_id=self._ids(),
            )
        except Exception as error:  # noqa: BLE001 - see `_safe`; here the answer is computed
            self.report(HostCallFailed(f"request: {type(error).__name__}: {error}"))
            return safe_request(surface, at=events.instant(utc_now()), candidates=candidates, slots=slots)

    def decide(
        self,
        surface: str,
        unit_ids: Mapping[str, str],
        context: Mapping[str, Any] | None = None,
        candidates: Iterable[Candidate] = (),
        slots: int | None = None,
    ) -> Decision:
        """Decide one slate. Without a ruleset the host's own order comes back, with the reason ``no_ruleset``."""
        return self.decide_request(self.request(surface, unit_ids, context, candidates, slots))

    def decide_request(self, request: Request) -> Decision:
        """Decide a request made by `request`, so that the same request can be reported with the decision."""
        try:
            held = self._held()
            if held is None:
                return host_order(request, reason="no_ruleset")
            return decide(held.ruleset, request)
        except Exception as error:  # noqa: BLE001 - see `_safe`; here the answer is computed
            self.report(HostCallFailed(f"decide: {type(error).__name__}: {error}"))
            return host_order(request, reason="client_error")

    @_safe(NO_ASSIGNMENTS)
    def assign(
        self, surface: str, unit_ids: Mapping[str, str], context: Mapping[str, Any] | None = None
    ) -> tuple[Assignment, ...]:
        """Which arm of each experiment this unit is in; empty without a ruleset."""
        held = self._held()
        return assign(held.ruleset, self.request(surface, unit_ids, context)) if held else ()

    # Reporting; each answers whether the event was queued

    @_safe(False)
    def track(self, event: Mapping[str, Any]) -> bool:
        """Queue one event for delivery; ``event_id`` and ``occurred_at`` are added when absent."""
        if self._closed:
            raise ValueError("the client is closed")
        self._ensure_started()
        whole = {"schema_version": events.EVENT_SCHEMA, **event}
        if "event_id" not in whole:
            whole["event_id"] = self._ids()
        if "occurred_at" not in whole:
            whole["occurred_at"] = events.instant(self._clock())
        try:
            line = events.encode(whole)
        except (TypeError, ValueError, RecursionError) as error:
            self.report(EventRefused(str(whole["event_id"]), "not_json", str(error)))
            return False
        return self._running.buffer.put(line)

    @_safe(False)
    def track_decision(
        self, decision: Decision, request: Request, *, properties: Mapping[str, Any] | None = None
    ) -> bool:
        """Report a decision; the sampled share of its surface carries the whole request."""
        at = events.instant(self._clock())
        rate = self._log_rate(decision.surface)
        return self.track(
            events.decision_event(decision, request, occurred_at=at, log_rate=rate, properties=properties)
        )

    @_safe(False)
    def track_exposure(
        self, decision: Decision, request: Request, *, properties: Mapping[str, Any] | None = None
    ) -> bool:
        """Report that the unit met this decision's experiments. Log it at the same point in every arm."""
        at = events.instant(self._clock())
        return self.track(events.exposure_event(decision, request, occurred_at=at, properties=properties))

    @_safe(False)
    def track_impression(
        self,
        decision: Decision,
        request: Request,
        *,
        visible: Iterable[str] | None = None,
        properties: Mapping[str, Any] | None = None,
    ) -> bool:
        """Report that the slate was shown; ``visible`` names the items that were in view."""
        at = events.instant(self._clock())
        return self.track(
            events.impression_event(decision, request, occurred_at=at, visible=visible, properties=properties)
        )

    # Ending

    @_safe(False)
    def flush(self, timeout: float = EXIT_SECONDS) -> bool:
        """Deliver what waits; True when everything tracked before has been answered within ``timeout`` seconds."""
        self._ensure_started()
        self._running.delivery.hurry()
        return self._running.buffer.wait_idle(timeout)

    @_safe(None)
    def close(self, timeout: float = EXIT_SECONDS) -> None:
        """Deliver what waits, put the rest on disk, and end both threads, within about ``timeout`` seconds.

        Deciding goes on working afterwards, with the last ruleset.
        """
        if self._closed:
            return
        self._closed = True
        _living.discard(self)
        if self._started_in != os.getpid():
            return
        deadline = time.monotonic() + timeout
        running = self._running
        running.poller.stop()
        running.delivery.stop()
        running.delivery.join(deadline - time.monotonic())
        running.poller.join(min(GRACE_SECONDS, deadline - time.monotonic()))
        running.transport.close()
        running.delivery.join(GRACE_SECONDS)
        running.buffer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def stats(self) -> ClientStats:
        """What happened so far, for the host's metrics."""
        poller, delivery, buffer = self._running.poller, self._running.delivery, self._running.buffer
        return ClientStats(
            polls=poller.polls,
            poll_failures=poller.failures,
            tracked=buffer.tracked,
            sent=delivery.sent,
            accepted=delivery.accepted,
            duplicate=delivery.duplicate,
            quarantined=delivery.quarantined,
            dropped=buffer.dropped,
            spilled=buffer.spilled,
            waiting=buffer.waiting,
            delivery_failures=delivery.retries,
        )

    def report(self, error: ClientError) -> None:
        """Log an error and hand it to ``on_error``; what that hook raises is logged and goes no further."""
        logger.warning("%s: %s", type(error).__name__, error)
        self._call(self._on_error, error)

    # Parts

    def _assemble(self) -> Running:
        return assemble(
            self._config,
            holder=self._holder,
            cache=self._cache,
            hooks=Hooks(on_error=self.report, on_stale=self._report_stale, on_dropped=self._report_dropped),
        )

    def _ensure_started(self) -> None:
        """Start the threads once per process: here, and in a fork's child on first use."""
        if self._closed or self._started_in == os.getpid():
            return
        with self._starting:
            if self._started_in != os.getpid():
                self._running.poller.start()
                self._running.delivery.start()
                self._started_in = os.getpid()

    def _after_fork(self) -> None:
        """In the child: locks, threads, sockets and waiting events stay the parent's."""
        self._starting = threading.Lock()
        self._holder.after_fork()
        self._running.buffer.forget()
        self._running = self._assemble()

    def _held(self) -> Held | None:
        self._ensure_started()
        return self._holder.held

    @_safe(0.0)
    def _age(self, held: Held) -> float:
        return max(0.0, (self._clock() - held.confirmed_at).total_seconds())

    def _log_rate(self, surface: str) -> int:
        """The sampled share of fully logged decisions on this surface, in 1/10,000."""
        held = self._held()
        return held.ruleset.surface(surface).log_rate if held is not None else 0

    def _report_dropped(self, count: int, reason: str) -> None:
        """Say so at the first event dropped and whenever their number has doubled."""
        total = self._running.buffer.dropped
        if total & (total - 1) == 0 or count > 1:
            self.report(EventsDropped(total, f"{total} event(s) dropped so far: {reason}"))

    def _report_stale(self, age: float) -> None:
        self._call(self._on_stale, age)

    def _call(self, hook: Callable[[T], object] | None, value: T) -> None:
        if hook is None:
            return
        try:
            hook(value)
        except Exception:
            logger.exception("a hook given to the client failed")


_living: weakref.WeakSet[Client] = weakref.WeakSet()


def _close_all() -> None:
    for client in list(_living):
        client.close()


def _after_fork_in_child() -> None:
    for client in list(_living):
        client._after_fork()


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
