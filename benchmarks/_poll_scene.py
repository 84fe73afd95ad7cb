"""Fills an empty database with what a poll is measured on, and prints a token: run by `benchmarks.poll`.

One surface, two hundred boosts of five items each, twenty guardrails, one published revision: some 100 kB of ruleset.
"""

import sys
from datetime import UTC, datetime
from typing import Any

import django

django.setup()

from controlplane.catalog import services as catalog  # noqa: E402 - models need Django first
from controlplane.core import services as core  # noqa: E402
from controlplane.core.actors import Actor  # noqa: E402
from controlplane.rulesets import services as rulesets  # noqa: E402
from governance.guardrails import services as guardrails  # noqa: E402
from overrides import services as overrides  # noqa: E402

OVERRIDES, GUARDRAILS, ITEMS = 200, 20, 1_000
BY: dict[str, Any] = {
    "actor": Actor(kind="user", id="0", name="bench", grants=frozenset({("admin", None)})),
    "at": datetime.now(UTC),
}


def main() -> None:
    """Build and publish; the token is the only line of output."""
    catalog.create_environment(key="production", name="Production", **BY)
    lines = [b'{"item_id": "item-%d", "title": "Item %d"}' % (number, number) for number in range(ITEMS)]
    for _ in catalog.upsert_items(lines, **BY):
        pass
    surface = catalog.create_surface(
        key="home-feed", title="Home", owner="bench", content={"kind": "home-feed", "slots": 12}, **BY
    )
    catalog.publish_surface(surface, environment="production", **BY)
    for number in range(OVERRIDES):
        items = [f"item-{(number * 5 + step) % ITEMS}" for step in range(5)]
        override = overrides.create_override(
            key=f"boost-{number}", title="Boost", owner="bench", **BY,
            content={"type": "boost", "items": items, "factor": 1.5, "surfaces": ["home-feed"], "reason": "bench"},
        )  # fmt: skip
        overrides.publish_override(override, environment="production", **BY)
    for number in range(GUARDRAILS):
        guardrail = guardrails.create_guardrail(
            key=f"limit-{number}", title="Limit", owner="bench", **BY,
            content={"action": "block", "signal": f"signal_{number}", "threshold": 0.8, "reason": "bench"},
        )  # fmt: skip
        guardrails.publish_guardrail(guardrail, environment="production", **BY)
    rulesets.publish_by_hand(environment="production", **BY)
    _, token = core.create_token(
        key="bench", name="Bench", scopes=["ruleset:read"], environment="production", **BY
    )
    sys.stdout.write(token + "\n")


main()
