import pytest

from controlplane.demo.catalogue import SIZE, bulk_lines, make_catalogue
from controlplane.demo.recommender import CANDIDATES, Recommender
from controlplane.demo.records import TOXICITY_LIMIT, Names, Picks
from controlplane.demo.shoppers import ADD_TO_CART, Behaviour, LossyHost, arrivals
from controlplane.demo.steering import Missteered, Steering, read_steering


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("effect", [0.1, 0.0, -0.05])
def test_behaviour__any_seed__shares_are_the_probabilities(seed: int, effect: float) -> None:
    behaviour = Behaviour(seed, effect)
    for arm, wanted in (("control", ADD_TO_CART), ("treatment", ADD_TO_CART * (1 + effect))):
        outcomes = [behaviour.outcome(arm, slate=10) for _ in range(5_000)]
        added = sum(outcome.added for outcome in outcomes)
        assert added == pytest.approx(5_000 * wanted, abs=8)


def test_behaviour__outcomes__are_consistent() -> None:
    behaviour = Behaviour(3, 0.1)
    for _ in range(2_000):
        outcome = behaviour.outcome("treatment", slate=4)
        assert not outcome.added or outcome.clicked is not None
        assert outcome.spent is None or (outcome.added and outcome.spent > 0)
        assert outcome.clicked is None or 1 <= outcome.clicked <= 4


def test_behaviour__empty_slate__nothing_happens() -> None:
    outcome = Behaviour(3, 0.1).outcome("control", slate=0)
    assert (outcome.clicked, outcome.added, outcome.spent) == (None, False, None)


def test_lossy_host__no_split__loses_nothing() -> None:
    host = LossyHost(None)
    assert not any(host.loses(arm) for arm in ("control", "treatment", None) for _ in range(100))


@pytest.mark.parametrize(("split", "kept"), [((60.0, 40.0), (3_000, 2_000)), ((1.0, 3.0), (1_000, 3_000))])
def test_lossy_host__split__keeps_the_given_shares(split: tuple[float, float], kept: tuple[int, int]) -> None:
    host = LossyHost(split)
    for arm, wanted in zip(("control", "treatment"), kept, strict=True):
        survived = sum(not host.loses(arm) for _ in range(3_000))
        assert survived == pytest.approx(wanted, abs=3)


def test_arrivals__same_seed__same_people_in_other_runs_under_other_ids() -> None:
    first = list(arrivals(seed=5, run="r1", name="live", number=50))
    second = list(arrivals(seed=5, run="r2", name="live", number=50))
    assert [one.taste for one in first] == [one.taste for one in second]
    assert not {one.user for one in first} & {one.user for one in second}


def test_catalogue__same_seed__same_items_all_labelled() -> None:
    items = make_catalogue(9)
    assert items == make_catalogue(9)
    assert items != make_catalogue(10)
    assert len({item.id for item in items}) == SIZE
    assert all(b'"synthetic": true' in line for line in bulk_lines(items))
    assert all("synthetic" in item.title for item in items)


@pytest.mark.parametrize("seed", range(5))
def test_picks__any_seed__rules_have_something_to_do(seed: int) -> None:
    items = make_catalogue(seed)
    picks = Picks.of(items)
    toxic = {item.id for item in items if item.toxicity >= TOXICITY_LIMIT}
    assert set(picks.toxic) == toxic
    assert 15 <= len(toxic) <= 30
    assert not toxic & {*picks.boosted, picks.pinned, picks.killed}
    assert len({*picks.boosted, picks.pinned, picks.killed}) == len(picks.boosted) + 2


def test_recommender__rankers__order_the_same_candidates_differently() -> None:
    items = make_catalogue(1)
    recommender = Recommender(items)
    (shopper,) = arrivals(seed=1, run="r", name="x", number=1)
    popular = recommender.candidates(shopper.taste, ranker="popularity")
    personal = recommender.candidates(shopper.taste, ranker="personal")
    assert {one.id for one in popular} == {one.id for one in personal}
    assert len(popular) == CANDIDATES
    assert [one.score for one in popular] != [one.score for one in personal]


def test_names__later_runs__have_keys_of_their_own() -> None:
    first, second = Names.of_run(1), Names.of_run(2)
    assert first.experiment == "ranker-v2"
    assert second.experiment == "ranker-v2-2"
    assert second.run == "r2"


def test_read_steering__nothing_given__defaults() -> None:
    assert read_steering({}) == Steering()
    assert read_steering({"ONCE": "", "SEED": ""}) == Steering()


def test_read_steering__all_given__are_read() -> None:
    given = {"SEED": "7", "EFFECT": "0", "SPLIT": "60/40", "SHOPPERS": "900", "ONCE": "1"}
    assert read_steering(given) == Steering(7, 0.0, (60.0, 40.0), 900, True, None)


@pytest.mark.parametrize(
    "given",
    [
        {"SEED": "x"},
        {"SEED": "-1"},
        {"SEED": "²"},
        {"EFFECT": "much"},
        {"EFFECT": "nan"},
        {"EFFECT": "-1"},
        {"SPLIT": "60"},
        {"SPLIT": "60/0"},
        {"SPLIT": "60/40/0"},
        {"SPLIT": "inf/1"},
        {"SPLIT": "a/b"},
        {"SHOPPERS": "5"},
    ],
)
def test_read_steering__cannot_be_used__names_the_variable(given: dict[str, str]) -> None:
    (name,) = given
    with pytest.raises(Missteered, match=f"^{name}={given[name].replace('²', '.')}: write"):
        read_steering(given)
