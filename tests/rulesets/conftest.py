"""An environment with one surface and the small sources of `sources.py` in place of the product's."""

from __future__ import annotations

import pytest
from pytest_django import Settings

from controlplane.catalog.models import Environment
from controlplane.core.actors import Actor
from tests.rulesets import sources


@pytest.fixture
def small_sources(settings: Settings) -> None:
    settings.RULESET_SOURCES = sources.SETTINGS
    settings.RULESET_FACTS = f"{sources.HERE}.facts"
    settings.RULESET_SAFEGUARDS = sources.SETTINGS[2:]
    settings.RULESET_STAYS_CURRENT = [sources.SETTINGS[0], *sources.SETTINGS[2:]]


@pytest.fixture
def production(transactional_db: None, small_sources: None) -> str:
    """The environment `production` with the surface `home-feed`; nothing is published yet."""
    sources.make_table()
    Environment.objects.create(key="production", name="Production", kind="production", created_at=sources.NOW)
    sources.surface("home-feed")
    return "production"


@pytest.fixture
def operator() -> Actor:
    return Actor(kind="user", id="7", name="Olive", grants=frozenset({("operator", None)}))
