"""Five hundred invented items. Every one says that it is synthetic."""

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

CATEGORIES = ("coats", "boots", "scarves", "lamps", "books", "mugs", "plants", "games")
BRANDS = ("Aldern", "Brisk", "Corvel", "Dunmore", "Elswick", "Farrow")
ADJECTIVES = ("amber", "brisk", "calm", "deep", "even", "faint", "grand", "hushed", "light", "mossy")
SIZE = 500
TOXIC_EVERY = 23  # of each 23 items one carries text that a classifier scored as toxic
FIRST_TOXIC = 4  # popular enough to be shown while nothing keeps it out


@dataclass(frozen=True, slots=True)
class Item:
    """What the shop knows. ``popularity`` is in (0, 1], higher sells more; ``toxicity`` a classifier's score."""

    id: str
    title: str
    category: str
    brand: str
    price: float
    popularity: float
    toxicity: float

    def attributes(self) -> dict[str, object]:
        """What the catalogue stores and what the recommender sends along with a candidate."""
        return {"category": self.category, "brand": self.brand, "price": self.price, "synthetic": True}


def make_catalogue(seed: int) -> tuple[Item, ...]:
    """The same catalogue for the same seed, the most popular item first."""
    rng = random.Random(f"catalogue:{seed}")
    items = []
    for number in range(SIZE):
        category = CATEGORIES[number % len(CATEGORIES)]
        toxic = number % TOXIC_EVERY == FIRST_TOXIC
        items.append(
            Item(
                id=f"sku-{number + 1:03d}",
                title=f"{rng.choice(ADJECTIVES).title()} {category} no. {number + 1} (synthetic)",
                category=category,
                brand=rng.choice(BRANDS),
                price=round(rng.uniform(5, 120), 2),
                popularity=round((number + 2.0) ** -0.35 * rng.uniform(0.9, 1.0), 6),
                toxicity=round(rng.uniform(0.82, 0.99) if toxic else rng.betavariate(1.2, 9.0) * 0.75, 4),
            )
        )
    return tuple(sorted(items, key=lambda item: (-item.popularity, item.id)))


def bulk_lines(items: Sequence[Item]) -> Iterator[bytes]:
    """The catalogue as the control plane's bulk upsert takes it, one JSON object a line."""
    for item in items:
        body = {
            "item_id": item.id,
            "title": item.title,
            "provider": "synthetic",
            "available": True,
            "attributes": item.attributes(),
            "signals": {"toxicity": item.toxicity},
        }
        yield json.dumps(body).encode()
