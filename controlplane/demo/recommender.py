"""The shop's own recommender: it retrieves candidates, and one of two rankers scores them."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from controlplane.client import Candidate
from controlplane.demo.catalogue import CATEGORIES, Item

CANDIDATES = 40
FROM_FAVOURITES = 24
POPULAR = 60  # the rest come from the most popular items, by chance
RANKERS = ("popularity", "personal")


@dataclass(frozen=True, slots=True)
class Taste:
    """How much a shopper likes each category, in [0, 1]; ``chance`` decides which popular items are retrieved."""

    affinity: Mapping[str, float]
    chance: int

    @property
    def favourites(self) -> tuple[str, str]:
        """The two best liked categories."""
        first, second = sorted(CATEGORIES, key=lambda category: (-self.affinity[category], category))[:2]
        return first, second


class Recommender:
    """Retrieves by category and popularity; scores are deterministic, so no propensity is given."""

    def __init__(self, items: Sequence[Item]) -> None:
        self._by_category = {
            category: tuple(item for item in items if item.category == category) for category in CATEGORIES
        }
        self._popular = tuple(items[:POPULAR])

    def candidates(self, taste: Taste, *, ranker: str) -> tuple[Candidate, ...]:
        """Forty candidates with the scores of the ranker an arm asked for; an unknown one means popularity."""
        score = _personal if ranker == "personal" else _popular
        return tuple(
            Candidate(id=item.id, score=score(item, taste), attributes=item.attributes(), source="retrieval")
            for item in self._retrieve(taste)
        )

    def _retrieve(self, taste: Taste) -> list[Item]:
        first, second = taste.favourites
        half = FROM_FAVOURITES // 2
        chosen = {
            item.id: item for item in (*self._by_category[first][:half], *self._by_category[second][:half])
        }
        for item in random.Random(taste.chance).sample(self._popular, CANDIDATES):
            if len(chosen) == CANDIDATES:
                break
            chosen.setdefault(item.id, item)
        return list(chosen.values())


def _popular(item: Item, taste: Taste) -> float:
    return item.popularity


def _personal(item: Item, taste: Taste) -> float:
    return round(0.5 * item.popularity + 0.5 * taste.affinity[item.category], 9)
