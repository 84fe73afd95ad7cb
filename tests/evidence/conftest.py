"""The environment in which metrics are in use."""

from datetime import UTC, datetime

import pytest

from controlplane.catalog.models import Environment


@pytest.fixture(autouse=True)
def _production(request: pytest.FixtureRequest) -> None:
    """For tests with a database: an installation has its environments before anything else."""
    if request.node.get_closest_marker("django_db") is None:
        return
    request.getfixturevalue("transactional_db")
    Environment.objects.create(
        key="production", name="Production", created_at=datetime(2026, 1, 1, tzinfo=UTC)
    )
