"""How long to wait after a failure: exponential, jittered, bounded, and never sooner than the server asks."""

import random
from collections.abc import Callable

LONGEST_RETRY_AFTER = 300.0


class Backoff:
    """Delays in seconds that double with each failure in a row, up to ``cap``.

    The jitter spreads each delay over its upper half, so that a fleet that failed together does not return together.

    >>> backoff = Backoff(base=1.0, cap=30.0, uniform=lambda: 1.0)
    >>> [backoff.failed() for _ in range(6)]
    [1.0, 2.0, 4.0, 8.0, 16.0, 30.0]
    >>> backoff.succeeded()
    >>> backoff.failed(retry_after=12.0)
    12.0
    """

    def __init__(self, *, base: float, cap: float, uniform: Callable[[], float] | None = None) -> None:
        self._base = base
        self._cap = cap
        self._uniform = uniform or random.Random().random
        self.failures = 0

    def failed(self, *, retry_after: float | None = None) -> float:
        """Count one more failure; the seconds to wait before trying again."""
        self.failures += 1
        doublings = min(self.failures - 1, 32)
        delay = min(self._cap, self._base * 2.0**doublings) * (0.5 + 0.5 * self._uniform())
        if retry_after is None:
            return delay
        return max(delay, min(retry_after, LONGEST_RETRY_AFTER))

    def succeeded(self) -> None:
        """Forget the failures."""
        self.failures = 0

    def jittered(self, seconds: float) -> float:
        """A regular interval, moved by up to a tenth either way, so that polls of a fleet spread out."""
        return seconds * (0.9 + 0.2 * self._uniform())


def retry_after_seconds(value: str | None) -> float | None:
    """The ``Retry-After`` header in seconds; None when absent or given as a date.

    >>> retry_after_seconds("7"), retry_after_seconds("Wed, 21 Oct 2026 07:28:00 GMT"), retry_after_seconds(None)
    (7.0, None, None)
    """
    if value is None or not value.strip().isdigit():
        return None
    return float(value.strip())
