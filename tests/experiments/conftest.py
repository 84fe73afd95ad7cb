"""The ground under every experiment: an environment, surfaces, metrics in use."""

import pytest

from tests.experiments.making import ground


@pytest.fixture
def _ground(transactional_db: None) -> None:
    ground()
