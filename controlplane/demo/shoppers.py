"""Invented shoppers: who comes, what they like, and what they do with a slate.

What happens is drawn systematically: within each arm the draws are a low-discrepancy sequence with a random start, so
that a run shows the effect it was given and not the luck of its seed. The share of an arm that adds to the cart is
within a few shoppers of its probability for every seed. The summary says so.
"""

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import NormalDist

from controlplane.demo.catalogue import CATEGORIES
from controlplane.demo.recommender import Taste

ADD_TO_CART = 0.40  # probability in control
BUY_AFTER_ADDING = 0.5
CLICK = 0.55
COUNTRIES = ("NL", "DE", "FR", "SE", "PT")
STEPS = (0.7548776662466927, 0.5698402909980532)  # the R2 sequence: low discrepancy in two dimensions
LOSS_STEP = 0.6180339887498949  # the golden ratio: out of step with what shoppers do
BASKET = NormalDist(mu=3.4, sigma=0.5)  # natural logarithm of a basket's value in euro


@dataclass(frozen=True, slots=True)
class Shopper:
    """One visitor of one visit."""

    user: str
    session: str
    country: str
    taste: Taste


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a shopper did: clicked at a 1-based position, added to the cart, spent so much (euro)."""

    clicked: int | None
    added: bool
    spent: float | None


def arrivals(*, seed: int, run: str, name: str, number: int) -> Iterator[Shopper]:
    """So many shoppers, the same for the same seed and names."""
    rng = random.Random(f"shoppers:{seed}:{name}")
    for index in range(number):
        affinity = {category: round(rng.betavariate(0.8, 1.6), 6) for category in CATEGORIES}
        yield Shopper(
            user=f"{run}-{name}-{index:06d}",
            session=f"{run}-{name}-{index:06d}-1",
            country=rng.choice(COUNTRIES),
            taste=Taste(affinity, chance=rng.getrandbits(32)),
        )


@dataclass
class Behaviour:
    """Draws outcomes; ``effect`` is relative and acts on adding to the cart in the arm ``treatment``."""

    seed: int
    effect: float
    _states: dict[str, tuple[float, float]] = field(default_factory=dict)

    def probability(self, arm: str | None) -> float:
        """Of adding to the cart."""
        return min(1.0, ADD_TO_CART * (1.0 + self.effect)) if arm == "treatment" else ADD_TO_CART

    def outcome(self, arm: str | None, *, slate: int) -> Outcome:
        """What the next shopper of this arm does with a slate of so many items."""
        first, second = self._draw(arm or "")
        adds = self.probability(arm)
        added = slate > 0 and first < adds
        clicked = slate > 0 and (added or first < max(CLICK, adds))
        bought = added and first < adds * BUY_AFTER_ADDING
        position = 1 + int(second * second * slate) if clicked else None
        spent = round(math.exp(BASKET.inv_cdf(min(max(second, 1e-9), 1 - 1e-9))), 2) if bought else None
        return Outcome(clicked=position, added=added, spent=spent)

    def _draw(self, arm: str) -> tuple[float, float]:
        state = self._states.get(arm)
        if state is None:
            rng = random.Random(f"draws:{self.seed}:{arm}")
            state = rng.random(), rng.random()
        self._states[arm] = (state[0] + STEPS[0]) % 1.0, (state[1] + STEPS[1]) % 1.0
        return state


@dataclass
class LossyHost:
    """A fault in the host: it loses the events of a part of one arm, so that the served split is not the planned one.

    ``split`` are the shares (control, treatment) that survive, relative to the larger; None loses nothing.
    """

    split: tuple[float, float] | None
    _seen: dict[str, int] = field(default_factory=dict)

    def loses(self, arm: str | None) -> bool:
        """Whether this shopper's events vanish."""
        if self.split is None or arm not in {"control", "treatment"}:
            return False
        share = self.split[0 if arm == "control" else 1] / max(self.split)
        count = self._seen.get(arm, 0)
        self._seen[arm] = count + 1
        return (count * LOSS_STEP) % 1.0 >= share
