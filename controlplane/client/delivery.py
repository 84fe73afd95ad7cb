"""One daemon thread that posts waiting events until the server has acknowledged each of them."""

import gzip
import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from controlplane.client.backoff import Backoff, retry_after_seconds
from controlplane.client.buffer import EventBuffer
from controlplane.client.errors import ClientError, DeliveryFailed, EventRefused
from controlplane.client.transport import Answer, Transport

LONGEST_PAUSE = 30.0
COMPRESSION = 3
ACCEPTED = 202
SPLIT_STATUSES = (400, 413)  # the batch as a whole was refused: halve it until the bad event stands alone


class Delivery:
    """Posts a batch every ``flush_seconds``, sooner when one is full; keeps what was not acknowledged.

    429, 5xx, time-outs, a wrong token and answers that are not the event endpoint's own are retried with jittered
    back-off. A line the server quarantined is reported and not sent again: it waits there for a fix.
    """

    def __init__(
        self,
        *,
        transport: Transport,
        buffer: EventBuffer,
        flush_seconds: float,
        on_error: Callable[[ClientError], None],
    ) -> None:
        self._transport = transport
        self._buffer = buffer
        self._flush_seconds = flush_seconds
        self._on_error = on_error
        self._backoff = Backoff(base=min(1.0, flush_seconds), cap=LONGEST_PAUSE)
        self._stopping = False
        self._hurry = False
        self._thread: threading.Thread | None = None
        self.retries = 0
        self.sent = 0
        self.accepted = 0
        self.duplicate = 0
        self.quarantined = 0

    def start(self) -> None:
        """Begin delivering, first what earlier processes left on disk."""
        self._thread = threading.Thread(target=self._run, name="controlplane-events", daemon=True)
        self._thread.start()

    def hurry(self) -> None:
        """Deliver now instead of at the end of the pause, also during a back-off."""
        self._hurry = True
        self._buffer.interrupt()

    def stop(self) -> None:
        """Ask the thread to try once more what waits and to end at the first failure."""
        self._stopping = True
        self._buffer.interrupt()

    def join(self, timeout: float) -> bool:
        """Wait for the thread to have ended, ``timeout`` seconds at most; whether it has."""
        thread = self._thread
        if thread is None or thread is threading.current_thread():
            return True
        thread.join(max(0.0, timeout))
        return not thread.is_alive()

    def _run(self) -> None:
        try:
            self._buffer.adopt()
        except OSError as error:
            self._on_error(ClientError(f"events left on disk could not be taken over: {error}"))
        while not self._stopping:
            self._buffer.wait_for_work(timeout=self._flush_seconds, interrupted=self._interrupted)
            self._hurry = False
            self._pause(self._deliver_all())
        self._deliver_all()

    def _interrupted(self) -> bool:
        return self._stopping or self._hurry

    def _pause(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not self._interrupted() and (left := deadline - time.monotonic()) > 0:
            self._buffer.wait_change(left)

    def _deliver_all(self) -> float:
        """Send batches until nothing waits or one fails; the seconds to back off, 0 when all went well."""
        while (batch := self._buffer.take()) is not None:
            try:
                self._send(batch.lines)
            except Exception as error:  # noqa: BLE001 - whatever arrives, the batch goes back and the thread lives
                self._buffer.give_back(batch)
                return self._failed(error)
            self._buffer.delivered(batch)
            self._backoff.succeeded()
        return 0.0

    def _failed(self, error: Exception) -> float:
        self.retries += 1
        known = (
            error
            if isinstance(error, ClientError)
            else ClientError(f"events: {type(error).__name__}: {error}")
        )
        self._on_error(known)
        return self._backoff.failed(retry_after=getattr(error, "retry_after", None))

    def _send(self, lines: Sequence[bytes]) -> None:
        """Have these lines acknowledged, or raise `ClientError` when they are to be sent again."""
        body = gzip.compress(b"\n".join(lines) + b"\n", compresslevel=COMPRESSION, mtime=0)
        answer = self._transport.post_events(body)
        if answer.status in SPLIT_STATUSES and _is_problem(answer):
            self._halve(lines, answer)
            return
        verdict = _read_verdict(answer, expected=len(lines))
        self.sent += len(lines)
        self.accepted += verdict["accepted"]
        self.duplicate += verdict["duplicate"]
        self.quarantined += verdict["quarantined"]
        for line in verdict["verdicts"]:
            if isinstance(line, Mapping) and line.get("verdict") == "quarantined":
                event_id = line.get("event_id")
                code, reason = str(line.get("code", "quarantined")), str(line.get("reason", ""))
                self._on_error(EventRefused(event_id if isinstance(event_id, str) else None, code, reason))

    def _halve(self, lines: Sequence[bytes], answer: Answer) -> None:
        if len(lines) > 1:
            middle = len(lines) // 2
            self._send(lines[:middle])
            self._send(lines[middle:])
            return
        self.sent += 1
        self.quarantined += 1
        reason = f"HTTP {answer.status}: {answer.body[:200].decode(errors='replace')}"
        self._on_error(EventRefused(_event_id(lines[0]), "unreadable", reason))


def _is_problem(answer: Answer) -> bool:
    return answer.headers.get("content-type", "").startswith("application/problem+json")


def _read_verdict(answer: Answer, *, expected: int) -> dict[str, Any]:
    """The event endpoint's own answer for exactly this many lines; anything else is not an acknowledgement."""
    if answer.status != ACCEPTED:
        wait = retry_after_seconds(answer.headers.get("retry-after"))
        raise DeliveryFailed(
            answer.status, f"events were answered with HTTP {answer.status}", retry_after=wait
        )
    try:
        read = json.loads(answer.body)
        counts = {name: int(read[name]) for name in ("accepted", "duplicate", "quarantined")}
        verdicts = list(read.get("verdicts", []))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise DeliveryFailed(answer.status, "the answer to events is not the event endpoint's") from error
    if sum(counts.values()) != expected:
        raise DeliveryFailed(answer.status, f"{sum(counts.values())} of {expected} events were acknowledged")
    return {**counts, "verdicts": verdicts}


def _event_id(line: bytes) -> str | None:
    try:
        event_id = json.loads(line).get("event_id")
    except (ValueError, AttributeError):
        return None
    return event_id if isinstance(event_id, str) else None
