"""What goes on while processes die: a host that decides and reports, a sender that never repeats, people who edit."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any, Self

import httpx

from controlplane.client import Candidate, Client
from controlplane.demo.control import ControlPlane, Refused
from tests.journeys.installation import Installation, until

SURFACE = "home-feed"
CANDIDATES = tuple(Candidate(id=f"item-{number}", score=1.0 / number) for number in range(1, 9))
LINES = 20


def event(event_id: str) -> dict[str, Any]:
    """A purchase by a user of its own."""
    return {
        "event_id": event_id,
        "type": "conversion",
        "name": "purchase",
        "occurred_at": datetime.now(UTC).isoformat(),
        "unit_ids": {"user": event_id},
    }


@dataclass(frozen=True, slots=True)
class Decided:
    """One decision of the host: when, by which revision, how many items, and what the engine remarked."""

    at: float
    revision: int
    items: int
    reasons: tuple[str, ...]


@dataclass
class Traffic:
    """`with Traffic(…) as traffic:` keeps it going. Event ids begin with `name`, which no other traffic has."""

    installation: Installation
    token: str
    name: str
    folder: Path
    decided: list[Decided] = field(default_factory=list)
    tracked: set[str] = field(default_factory=set)
    sent: set[str] = field(default_factory=set)
    acknowledged: set[str] = field(default_factory=set)
    unanswered: int = 0
    made: list[str] = field(default_factory=list)
    faults: list[BaseException] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._guarded, args=[work], name=work.__name__)
            for work in (self._host, self._sender, self._people)
        ]
        self.client = Client(
            self.installation.serve,
            self.token,
            cache_dir=self.folder,
            poll_seconds=0.3,
            flush_seconds=0.2,
            source="demo",
        )

    def __enter__(self) -> Self:
        assert self.client.wait_until_ready(20)
        for thread in self._threads:
            thread.start()
        until(
            "traffic flows",
            lambda: self.faults or (len(self.acknowledged) >= LINES and self.decided and self.made),
            seconds=30,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(60)
        self.client.flush(30)
        self.client.close()

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as fault:  # noqa: BLE001 - the test's thread raises it
            self.faults.append(fault)

    def _host(self) -> None:
        for number in count():
            if self._over.wait(0.005):
                return
            request = self.client.request(SURFACE, {"user": f"u-{number}"}, {}, CANDIDATES)
            decision = self.client.decide_request(request)
            self.decided.append(
                Decided(time.monotonic(), decision.revision, len(decision.slate), decision.reasons)
            )
            mine = f"{self.name}.host.{number}"
            if self.client.track(event(mine)):
                self.tracked.add(mine)

    def _sender(self) -> None:
        """Sends each line once, whatever becomes of it: what was not acknowledged may be lost, what was may not."""
        headers = {"Authorization": f"Bearer {self.token}"}
        with httpx.Client(
            base_url=self.installation.serve, headers=headers, timeout=10, trust_env=False
        ) as http:
            for number in count():
                if self._over.wait(0.02):
                    return
                ids = [f"{self.name}.once.{number}.{line}" for line in range(LINES)]
                self.sent.update(ids)
                body = "\n".join(json.dumps(event(each)) for each in ids)
                try:
                    answer = http.post("/api/v1/events?source=demo", content=body)
                except httpx.TransportError:
                    self.unanswered += 1
                    continue
                if answer.status_code == httpx.codes.ACCEPTED:
                    verdicts = answer.json()["verdicts"]
                    self.acknowledged.update(v["event_id"] for v in verdicts if v["verdict"] == "accepted")
                else:
                    self.unanswered += 1

    def _people(self) -> None:
        with self.installation.control() as control:
            for number in count():
                if self._over.wait(0.25):
                    return
                key = f"{self.name}-{number}"
                content = {
                    "type": "boost",
                    "condition": {"available": True},
                    "factor": 1.5,
                    "reason": "launch",
                }
                if _tried(control, {"key": key, "title": key, "content": content}):
                    self.made.append(key)

    def check(self, *, seconds: float = 45.0) -> None:
        """Nothing acknowledged is missing, nothing is there twice, and the host never stood without a ruleset."""
        assert self.faults == []
        assert self.client.stats().waiting == 0
        assert self.client.stats().dropped == 0
        self.installation.wait_until_moved(seconds=seconds)
        kept = self.tracked | self.acknowledged
        found = self.installation.in_lake(f"{self.name}.")
        assert len(kept) > LINES
        assert {each for each in kept if found[each] == 0} == set()
        assert Counter({each: times for each, times in found.items() if times > 1}) == Counter()
        assert set(found) - self.tracked - self.sent == set()
        self._check_decisions()
        self._check_records()

    def decided_between(self, since: float, until_: float) -> int:
        """How many decisions the host made in a span of monotonic time."""
        return sum(since <= each.at <= until_ for each in self.decided)

    def _check_decisions(self) -> None:
        first = self.decided[0].revision
        assert first > 0
        assert [each for each in self.decided if each.revision < first or not each.items] == []
        assert {reason for each in self.decided for reason in each.reasons} <= {"short_slate"}

    def _check_records(self) -> None:
        """Each write that was answered is there, with exactly one audit event."""
        rows = self.installation.ask(
            "SELECT subject, count(*) FROM core_auditevent WHERE operation = 'overrides.create_override'"
            " AND subject LIKE %s GROUP BY subject",
            f"overrides.override:{self.name}-%",
        )
        audited = dict(rows)
        keys = {row[0] for row in self.installation.ask("SELECT key FROM overrides_override")}
        assert [key for key in self.made if key not in keys] == []
        assert {subject for subject, events in audited.items() if events != 1} == set()
        mine = {f"overrides.override:{key}" for key in keys if key.startswith(f"{self.name}-")}
        assert set(audited) == mine


def _tried(control: ControlPlane, body: dict[str, Any]) -> bool:
    """Make an override; whether the answer said that it was made."""
    try:
        control.create("admin", "overrides", body)
    except Refused as refused:
        if refused.status < httpx.codes.INTERNAL_SERVER_ERROR:
            raise
        return False
    except httpx.TransportError:
        return False
    return True
