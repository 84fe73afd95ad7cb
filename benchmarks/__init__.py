"""What the product costs beside the least code that could do the same.

Every module here has `cases() -> ContextManager[Iterable[Case]]`: it sets the scene (servers, tables, files), yields
its cases and clears up. A case measures the product and a committed baseline in turn, in one run, on one machine, so
that their ratio means something where the absolute figures do not. `python -m benchmarks [NAME ...]` runs them.
"""

from collections.abc import Callable
from dataclasses import dataclass

REPEATS = 5


@dataclass(frozen=True)
class Case:
    """One comparison. Both callables do the work once and return the rate reached, in `unit` (higher is better)."""

    name: str
    unit: str
    product: Callable[[], float]
    baseline: Callable[[], float]
    baseline_is: str
    """What the baseline does, in a few words."""
