"""The shop of the overrides' tests with a signal on its items, and the people who guard it."""

from collections.abc import Callable, Mapping
from typing import Any

import orjson
import pytest

from controlplane.catalog import services as catalog
from controlplane.core.actors import Actor
from governance.guardrails import services
from governance.guardrails.models import Guardrail
from tests.overrides.conftest import ADMIN, AT, stock

CORA = Actor(kind="user", id="cora", name="cora", grants=frozenset({("compliance", None)}))
CLEO = Actor(kind="user", id="cleo", name="cleo", grants=frozenset({("compliance", "feed")}))
TOXICITY = {"a": 0.1, "b": 0.5, "c": 0.8, "d": 0.95}
BLOCK: Mapping[str, Any] = {"action": "block", "signal": "toxicity", "threshold": 0.8, "reason": "policy 4"}


def stock_signals() -> None:
    """The shop; four items have a toxicity, two have none."""
    stock()
    lines = [
        orjson.dumps({"item_id": item, "signals": {"toxicity": value}}) for item, value in TOXICITY.items()
    ]
    for _ in catalog.upsert_items(lines, actor=ADMIN, at=AT):
        pass


@pytest.fixture
def shop(db: None) -> None:
    stock_signals()


Make = Callable[..., Guardrail]


def make_guardrail(key: str = "toxic", *, actor: Actor = CORA, **fields: Any) -> Guardrail:
    """A guardrail; the content's fields replace those of a block from 0.8 on, None leaves one out."""
    content = {name: value for name, value in {**BLOCK, **fields}.items() if value is not None}
    return services.create_guardrail(
        key=key, title=key.title(), owner=actor.name, content=content, actor=actor, at=AT
    )


@pytest.fixture
def make(shop: None) -> Make:
    return make_guardrail
