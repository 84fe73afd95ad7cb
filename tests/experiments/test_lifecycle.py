"""What an experiment can become."""

from itertools import product

import pytest

from controlplane.core.errors import Conflict
from experiments.lifecycle import Status, move

ALLOWED = {
    (Status.DRAFT, Status.RUNNING),
    (Status.RUNNING, Status.STOPPED),
    (Status.STOPPED, Status.RUNNING),
}


@pytest.mark.parametrize(("before", "after"), list(product(Status, Status)))
def test_move__every_pair__as_the_table_says(before: Status, after: Status) -> None:
    if (before, after) in ALLOWED:
        assert move(before, to=after) is after
    else:
        with pytest.raises(Conflict, match=f"that is {before} cannot become {after}"):
            move(before, to=after)
