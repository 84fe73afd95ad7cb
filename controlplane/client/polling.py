"""One daemon thread that keeps the held ruleset the newest, and says when it cannot."""

import json
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from controlplane.client.backoff import Backoff, retry_after_seconds
from controlplane.client.cache import RulesetCache
from controlplane.client.errors import ClientError, PollFailed, RulesetRefused
from controlplane.client.holding import Holder
from controlplane.client.transport import Answer, Transport

logger = logging.getLogger(__name__)

LONGEST_PAUSE = 60.0


@dataclass(frozen=True, slots=True)
class PollHooks:
    """What the poller tells the host; each is called on the poller's thread and may not raise (see `Client`)."""

    on_error: Callable[[ClientError], None]
    on_stale: Callable[[float], None]


class Poller:
    """Polls every ``poll_seconds`` with the held ETag; backs off up to a minute while the server fails.

    When nothing confirmed the ruleset for ``stale_seconds``, ``on_stale`` is called once with its age in seconds,
    and again only after a recovery.
    """

    def __init__(
        self,
        *,
        transport: Transport,
        holder: Holder,
        cache: RulesetCache | None,
        poll_seconds: float,
        stale_seconds: float,
        clock: Callable[[], datetime],
        hooks: PollHooks,
    ) -> None:
        self._transport = transport
        self._holder = holder
        self._cache = cache
        self._poll_seconds = poll_seconds
        self._stale_seconds = stale_seconds
        self._clock = clock
        self._hooks = hooks
        self._backoff = Backoff(base=poll_seconds, cap=max(LONGEST_PAUSE, poll_seconds))
        self._started_at = clock()
        self._stale_told = False
        self._wake = threading.Event()
        self._stopping = False
        self._thread: threading.Thread | None = None
        self.polls = 0
        self.failures = 0

    def start(self) -> None:
        """Begin polling, at once."""
        self._thread = threading.Thread(target=self._run, name="controlplane-poll", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ask the thread to end; it ends within one running request."""
        self._stopping = True
        self._wake.set()

    def join(self, timeout: float) -> None:
        """Wait for the thread to have ended, ``timeout`` seconds at most."""
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(max(0.0, timeout))

    def poll_soon(self) -> None:
        """Poll now instead of at the end of the pause."""
        self._wake.set()

    def _run(self) -> None:
        while not self._stopping:
            pause = self._poll_once()
            try:
                self._watch_age()
            except Exception as error:  # noqa: BLE001 - the host's clock may fail; the thread lives
                self._hooks.on_error(ClientError(f"age: {type(error).__name__}: {error}"))
            self._wake.wait(pause)
            self._wake.clear()

    def _poll_once(self) -> float:
        """One poll; the seconds to pause after it."""
        self.polls += 1
        held = self._holder.held
        try:
            self._apply(self._transport.get_ruleset(etag=held.etag if held else None))
        except ClientError as error:
            self.failures += 1
            if not self._stopping:
                self._hooks.on_error(error)
            return self._backoff.failed(retry_after=getattr(error, "retry_after", None))
        except Exception as error:  # noqa: BLE001 - whatever arrives, the thread that keeps the ruleset new stays alive
            self.failures += 1
            self._hooks.on_error(ClientError(f"poll: {type(error).__name__}: {error}"))
            return self._backoff.failed()
        self._backoff.succeeded()
        return self._backoff.jittered(self._poll_seconds)

    def _apply(self, answer: Answer) -> None:
        now = self._clock()
        if answer.status == 304:
            self._holder.confirm(now)
            self._keep(lambda cache: cache.confirm(now))
            return
        if answer.status != 200:
            raise PollFailed(
                answer.status,
                f"the poll was answered with HTTP {answer.status}",
                retry_after=retry_after_seconds(answer.headers.get("retry-after")),
            )
        try:
            document = json.loads(answer.body)
        except (ValueError, RecursionError) as error:
            raise RulesetRefused("unreadable", f"the ruleset is not JSON: {error}") from error
        etag = answer.headers.get("etag")
        self._holder.take(document, etag=etag, at=now)
        self._keep(lambda cache: cache.write(body=answer.body, etag=etag, confirmed_at=now))

    def _keep(self, action: Callable[[RulesetCache], None]) -> None:
        """Write to disk; a full or read-only disk costs the next start its head start, nothing else."""
        if self._cache is None:
            return
        try:
            action(self._cache)
        except OSError as error:
            self._hooks.on_error(ClientError(f"the ruleset could not be kept on disk: {error}"))

    def _watch_age(self) -> None:
        held = self._holder.held
        age = (self._clock() - (held.confirmed_at if held else self._started_at)).total_seconds()
        if age <= self._stale_seconds:
            self._stale_told = False
        elif not self._stale_told and not self._stopping:
            self._stale_told = True
            logger.warning("no newer ruleset was confirmed for %.0f s", age)
            self._hooks.on_stale(age)
