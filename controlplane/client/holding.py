"""Which ruleset is in force: what may replace it, what may not, and how old it is."""

import threading
import time
from dataclasses import dataclass, replace
from datetime import datetime

from controlplane.client.cache import RulesetCache
from controlplane.client.errors import ClientError, RulesetRefused
from controlplane.engine import Ruleset, RulesetError
from controlplane.engine.validate import check_document

PROBLEMS_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Held:
    """The ruleset in force. ``confirmed_at`` is when the server last said that it is the newest."""

    ruleset: Ruleset
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

    def take(self, document: object, *, etag: str | None, at: datetime, verify: bool = True) -> Held:
        """Judge a document and, when it is good, put it in force.

        Raises `RulesetRefused`: for a document that does not validate or whose sections do not have the digests its
        manifest states, from another environment, or with a lower revision than the one in force. ``verify=False``
        is for bytes that were verified before.
        """
        try:
            ruleset = Ruleset.from_document(document, verify=verify)
        except RulesetError as error:
            raise RulesetRefused("invalid", str(error)) from error
        if verify:
            _check_rules(document)
        taken = Held(ruleset=ruleset, etag=etag, confirmed_at=at)
        with self._changed:
            self._check_succession(ruleset)
            self._held = taken
            self._environment = ruleset.environment
            self._changed.notify_all()
        return taken

    def restore(self, cache: RulesetCache) -> ClientError | None:
        """Begin with the last good ruleset on disk; what is wrong with the file, if anything.

        Its sections were checked when they came from the network, its bytes are checked by the cache.
        """
        try:
            cached = cache.read()
            if cached is not None:
                self.take(cached.document, etag=cached.etag, at=cached.confirmed_at, verify=False)
        except RulesetRefused as error:
            return error
        except (OSError, ValueError, RecursionError) as error:
            return RulesetRefused("unreadable", f"the ruleset on disk: {error}")
        return None

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
            while self._held is None or self._held.ruleset.revision < revision:
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self._changed.wait(left)
            return True

    def after_fork(self) -> None:
        """In the child of a fork: nobody here holds the parent's lock."""
        self._changed = threading.Condition()

    def _check_succession(self, ruleset: Ruleset) -> None:
        if self._environment is not None and ruleset.environment != self._environment:
            raise RulesetRefused(
                "other_environment",
                f"this client serves {self._environment!r}, the ruleset is of {ruleset.environment!r}",
            )
        held = self._held
        if held is not None and ruleset.revision < held.ruleset.revision:
            raise RulesetRefused(
                "lower_revision", f"revision {ruleset.revision} after {held.ruleset.revision}"
            )


def _check_rules(document: object) -> None:
    """Every rule must be one this engine can follow. Raises `RulesetRefused`."""
    problems = check_document(document)
    if problems:
        shown = "; ".join(f"{problem.path}: {problem.message}" for problem in problems[:PROBLEMS_SHOWN])
        raise RulesetRefused("invalid", f"{len(problems)} problem(s): {shown}")
