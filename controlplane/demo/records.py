"""What the demo's people write into the control plane: the bodies of their REST calls."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from controlplane.demo.catalogue import Item

ENVIRONMENT = "production"
SURFACE = "home-feed"
SLOTS = 10
TOXICITY_LIMIT = 0.8
BOOST_FACTOR = 1.6
BOOSTED_RANKS = range(20, 26)  # popular enough to be retrieved, seldom popular enough to be shown unaided
PINNED_RANK = 60
PIN_POSITION = 3
KILLED_RANK = 0  # the most popular item of all


@dataclass(frozen=True, slots=True)
class Names:
    """Keys of one run. A later run on the same data folder gets a suffix and a surface of its own.

    So nothing is overwritten, and guardrails and kill switches of earlier runs, which one person alone cannot take
    back, do not reach into it.
    """

    run: str
    surface: str
    experiment: str
    boost: str
    pin: str
    guardrail: str
    kill_switch: str
    token: str

    @classmethod
    def of_run(cls, number: int) -> "Names":
        """Run 1 has the plain names."""
        suffix = "" if number == 1 else f"-{number}"
        return cls(
            run=f"r{number}",
            surface=f"{SURFACE}{suffix}",
            experiment=f"ranker-v2{suffix}",
            boost=f"autumn-boost{suffix}",
            pin=f"editors-pick{suffix}",
            guardrail=f"toxicity-block{suffix}",
            kill_switch=f"recalled-item{suffix}",
            token=f"demo-shop{suffix}",
        )

    def of_records(self) -> frozenset[str]:
        """The keys of its records."""
        return frozenset(
            {self.token, self.experiment, self.boost, self.pin, self.guardrail, self.kill_switch}
        )


@dataclass(frozen=True, slots=True)
class Picks:
    """The items that the rules are about."""

    boosted: tuple[str, ...]
    pinned: str
    toxic: tuple[str, ...]
    killed: str

    @classmethod
    def of(cls, items: Sequence[Item]) -> "Picks":
        """By popularity rank among the items that are not toxic."""
        clean = [item.id for item in items if item.toxicity < TOXICITY_LIMIT]
        return cls(
            boosted=tuple(clean[rank] for rank in BOOSTED_RANKS),
            pinned=clean[PINNED_RANK],
            toxic=tuple(item.id for item in items if item.toxicity >= TOXICITY_LIMIT),
            killed=clean[KILLED_RANK],
        )


def token(names: Names) -> dict[str, Any]:
    """For the shop: read the ruleset, write events. Its text is shown once, so each run makes one."""
    return {
        "key": names.token,
        "name": "The demo's shop",
        "scopes": ["ruleset:read", "events:write"],
        "environment": ENVIRONMENT,
    }


def surface(key: str, kind: str, *, slots: int, fallback: Sequence[str]) -> dict[str, Any]:
    """A place where items are shown; every decision on it is logged with its whole request at rate 1/100."""
    return {
        "key": key,
        "title": f"{key} (demo)",
        "content": {
            "kind": kind,
            "slots": slots,
            "fallback": list(fallback),
            "sensitive": False,
            "minors": False,
            "log_rate": 100,
        },
    }


def country_attribute() -> dict[str, Any]:
    """What the shop sends with each request, so that a typo in a condition is an error when it is saved."""
    return {
        "subject": "request",
        "name": "country",
        "type": "string",
        "description": "Two-letter code of the country a shopper is in (demo)",
    }


def audience() -> dict[str, Any]:
    """Shoppers of one country, named once."""
    return {
        "key": "dutch-shoppers",
        "title": "Shoppers in the Netherlands (demo)",
        "content": {"condition": {"country": {"$in": ["NL"]}}},
    }


def metrics() -> tuple[dict[str, Any], ...]:
    """The share of shoppers who add to the cart, and revenue per shopper."""
    return (
        {
            "key": "add_to_cart",
            "title": "Shoppers who add to the cart",
            "content": {
                "kind": "proportion",
                "event_type": "conversion",
                "name": "add_to_cart",
                "aggregation": "any",
                "direction": "increase",
            },
        },
        {
            "key": "revenue",
            "title": "Revenue per shopper",
            "content": {
                "kind": "mean",
                "event_type": "value",
                "name": "revenue",
                "aggregation": "sum",
                "value_field": "value",
                "direction": "increase",
                "unit": "EUR",
            },
        },
    )


def experiment(names: Names, *, shoppers: int) -> dict[str, Any]:
    """The popularity ranker against the personal one, half and half, everybody; so many shoppers are planned."""
    return {
        "key": names.experiment,
        "title": "Personal ranker on the home feed (synthetic shoppers)",
        "content": {
            "hypothesis": "Ranking by taste as well as popularity makes more shoppers add to the cart.",
            "surfaces": [names.surface],
            "hash_attribute": "user",
            "arms": [
                {
                    "key": "control",
                    "title": "Popularity",
                    "weight": 5000,
                    "parameters": {"ranker": "popularity"},
                },
                {
                    "key": "treatment",
                    "title": "Personal",
                    "weight": 5000,
                    "parameters": {"ranker": "personal"},
                },
            ],
            "coverage": 10_000,
            "condition": None,
            "audience": None,
            "primary_metric": "add_to_cart",
            "metrics": ["add_to_cart", "revenue"],
            "planned_end": None,
            "planned_units": shoppers,
        },
    }


def _override(
    names: Names, kind: str, items: Sequence[str], reason: str, *, until: str, **more: Any
) -> dict[str, Any]:
    return {
        "type": kind,
        "surfaces": [names.surface],
        "items": list(items),
        "condition": None,
        "windows": [[None, until]],
        "priority": 0,
        "reason": reason,
        "must_match_filters": True,
        **more,
    }


def boost(names: Names, picks: Picks, *, until: str) -> dict[str, Any]:
    """The autumn range moves up until a UTC instant."""
    content = _override(names, "boost", picks.boosted, "Autumn campaign", until=until, factor=BOOST_FACTOR)
    return {"key": names.boost, "title": "Autumn range moves up", "content": content}


def pin(names: Names, picks: Picks, *, until: str) -> dict[str, Any]:
    """One item has a fixed place until a UTC instant."""
    content = _override(names, "pin", [picks.pinned], "Editors' pick", until=until, position=PIN_POSITION)
    return {"key": names.pin, "title": "Editors' pick", "content": content}


def guardrail(names: Names) -> dict[str, Any]:
    """Items with toxic text are not shown."""
    return {
        "key": names.guardrail,
        "title": "No toxic item texts",
        "content": {
            "action": "block",
            "signal": "toxicity",
            "op": ">=",
            "threshold": TOXICITY_LIMIT,
            "missing": "skip",
            "surfaces": [names.surface],
            "condition": None,
            "reason": "Policy on harmful text",
            "status": "live",
        },
    }


def kill_switch(names: Names, picks: Picks) -> dict[str, Any]:
    """One item must vanish now."""
    return {
        "key": names.kill_switch,
        "kind": "block_items",
        "items": [picks.killed],
        "rule": None,
        "surfaces": [names.surface],
        "reason": "Recalled by its maker",
        "environment": ENVIRONMENT,
    }
