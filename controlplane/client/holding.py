"""Which ruleset is in force: what may replace it, what may not, and how old it is."""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from controlplane.client.errors import RulesetRefused
from controlplane.engine import Ruleset, RulesetError
from controlplane.engine.schema import digest
from controlplane.engine.validate import check_document

PROBLEMS_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Held:
    """The ruleset in force. ``confirmed_at`` is when the server last said that it is the newest."""

    ruleset: Ruleset
    document: Mapping[str, Any]
    environment: str
    revision: int
    etag: str | None
    confirmed_at: datetime


class Holder:
    """Holds one ruleset and swaps it whole: a reader sees the old one or the new one, never a mixture.

    ``environment`` is fixed by the host or, when None, by the first ruleset taken.
    """

    def __init__(self, *, environment: str | None) -> None:
        self._environment = environment
        self._held: Held | None = None
        self._changed = threading.Condition()

    @property
    def held(self) -> Held | None:
        """The ruleset in force, or None before the first one."""
        return self._held

    def take(self, document: object, *, etag: str | None, at: datetime, verify_sections: bool = True) -> Held:
        """Judge a document and, when it is good, put it in force.

        Raises `RulesetRefused`: for a document that does not validate, whose sections do not match the manifest's
        digests, from another environment, or with a lower revision than the one in force.
        """
        environment, revision = self._judge(document)
        if not isinstance(document, Mapping):
            raise RulesetRefused("invalid", "a ruleset is a JSON object")
        if verify_sections:
            check_digests(document)
        try:
            ruleset = Ruleset.from_document(document)
        except RulesetError as error:
            raise RulesetRefused("invalid", str(error)) from error
        taken = Held(ruleset, document, environment, revision, etag, at)
        with self._changed:
            self._check_succession(environment, revision)
            self._held = taken
            self._environment = environment
            self._changed.notify_all()
        return taken

    def confirm(self, at: datetime) -> None:
        """The server answered "not modified": the ruleset in force is the newest as of ``at``."""
        with self._changed:
            if self._held is not None:
                self._held = replace(self._held, confirmed_at=at)
                self._changed.notify_all()

    def wait_for(self, *, revision: int, timeout: float) -> bool:
        """Block until a ruleset of at least ``revision`` is in force, or ``timeout`` seconds passed."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while self._held is None or self._held.revision < revision:
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self._changed.wait(left)
            return True

    def after_fork(self) -> None:
        """In the child of a fork: nobody here holds the parent's lock."""
        self._changed = threading.Condition()

    def _judge(self, document: object) -> tuple[str, int]:
        problems = check_document(document)
        if problems:
            shown = "; ".join(str(problem) for problem in problems[:PROBLEMS_SHOWN])
            raise RulesetRefused("invalid", f"{len(problems)} problem(s): {shown}")
        manifest = document["manifest"] if isinstance(document, Mapping) else {}
        environment, revision = str(manifest["environment"]), int(manifest["revision"])
        self._check_succession(environment, revision)
        return environment, revision

    def _check_succession(self, environment: str, revision: int) -> None:
        if self._environment is not None and environment != self._environment:
            raise RulesetRefused(
                "other_environment", f"this client serves {self._environment!r}, the ruleset is of {environment!r}"
            )
        held = self._held
        if held is not None and revision < held.revision:
            raise RulesetRefused("lower_revision", f"revision {revision} after {held.revision}")


def check_digests(document: Mapping[str, Any]) -> None:
    """Each section must be the one its manifest names. Raises `RulesetRefused`."""
    named = document["manifest"]["sections"]
    for name, section in document["sections"].items():
        if named.get(name) != digest(section):
            raise RulesetRefused("wrong_digest", f"section {name!r} is not the one its manifest names")
