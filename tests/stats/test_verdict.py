"""Which word which evidence earns."""

import numpy as np
import pytest

from controlplane.stats.answers import Undefined
from controlplane.stats.means import compare_means
from controlplane.stats.moments import Counts, Moments
from controlplane.stats.proportions import compare_proportions
from controlplane.stats.sample_ratio import SampleRatio, srm
from controlplane.stats.verdict import MetricReading, Verdict, decide_verdict

EVEN = srm([10_000, 10_000], [1, 1])
SKEWED = srm([12_000, 8_000], [1, 1])


def reading(control: int, treatment: int, *, n: int = 10_000) -> MetricReading:
    return MetricReading(
        "purchase", "increase", compare_proportions(Counts(n, control), Counts(n, treatment))
    )


def word(primary: MetricReading, *, at_planned_end: bool = False) -> str:
    return decide_verdict(primary=primary, sample_ratio=EVEN, at_planned_end=at_planned_end).word


def test_decide_verdict__clearly_better__ship_with_reasons() -> None:
    verdict = decide_verdict(primary=reading(1000, 1300), sample_ratio=EVEN, at_planned_end=False)
    assert verdict.word == "ship"
    assert verdict.reading == "always_valid"
    assert verdict.alpha == 0.05
    assert "Reads valid at any time" in verdict.reasons[0]
    assert verdict.reasons[1] == "The split agrees with the plan (p = 1)."


@pytest.mark.parametrize(
    ("treatment", "at_end", "expected"),
    [
        (1100, False, "keep running"),  # z = 2.3: enough at the end, not at any time
        (1100, True, "ship"),
        (900, True, "stop"),
        (1010, False, "keep running"),
        (1010, True, "hold"),
        (700, False, "stop"),
        (1000, True, "hold"),
    ],
)
def test_decide_verdict__effect_and_time__word(treatment: int, at_end: bool, expected: str) -> None:
    assert word(reading(1000, treatment), at_planned_end=at_end) == expected


def test_decide_verdict__sample_ratio_alarm__holds_even_a_win() -> None:
    verdict = decide_verdict(primary=reading(1000, 1300), sample_ratio=SKEWED, at_planned_end=True)
    assert verdict.word == "hold"
    assert verdict.reasons[0].startswith("Alarm: ")
    assert verdict.reasons[1].startswith("Not relied upon: ")


def test_decide_verdict__unusual_split__ships_and_says_so() -> None:
    look = srm([44_700, 45_489], [1, 1])
    assert isinstance(look, SampleRatio)
    verdict = decide_verdict(primary=reading(1000, 1300), sample_ratio=look, at_planned_end=True)
    assert verdict.word == "ship"
    assert verdict.reasons[1].startswith("Not flagged, look at it")


def test_decide_verdict__less_is_better__direction_turns_the_word() -> None:
    bounce = MetricReading("bounce", "decrease", reading(1000, 1300).answer)
    assert word(bounce) == "stop"
    assert word(MetricReading("bounce", "decrease", reading(1300, 1000).answer)) == "ship"


def test_decide_verdict__guardrail_worse__holds() -> None:
    slow = MetricReading(
        "latency", "decrease", compare_means(Moments(9000, 10.0, 9000.0), Moments(9000, 11.0, 9000.0))
    )
    verdict = decide_verdict(
        primary=reading(1000, 1300), sample_ratio=EVEN, guardrails=(slow,), at_planned_end=True
    )
    assert verdict.word == "hold"
    assert verdict.reasons[2].startswith("Guardrail: latency is worse than control")


def test_decide_verdict__guardrail_without_answer__holds() -> None:
    blind = MetricReading("latency", "decrease", Undefined("no_events", "No latency event."))
    verdict = decide_verdict(
        primary=reading(1000, 1300), sample_ratio=EVEN, guardrails=(blind,), at_planned_end=True
    )
    assert verdict.word == "hold"
    assert verdict.reasons[-1] == "Guardrails without an answer: latency."


@pytest.mark.parametrize(("at_end", "expected"), [(False, "keep running"), (True, "hold")])
def test_decide_verdict__no_answer__never_ships(at_end: bool, expected: str) -> None:
    unknown = MetricReading("purchase", "increase", Undefined("no_units", "The control arm has no units."))
    verdict = decide_verdict(primary=unknown, sample_ratio=EVEN, at_planned_end=at_end)
    assert verdict.word == expected
    assert verdict.reasons[0] == "purchase has no answer: The control arm has no units."


def test_decide_verdict__split_not_judged__said() -> None:
    fixed = Undefined("no_planned_shares", "The publisher fixed the sizes.")
    verdict: Verdict = decide_verdict(primary=reading(1000, 1300), sample_ratio=fixed, at_planned_end=True)
    assert verdict.reasons[1] == "Sample ratio not judged: The publisher fixed the sizes."


def test_decide_verdict__no_effect_read_early__hardly_ever_ships() -> None:
    rng = np.random.default_rng(5)
    words = [word(reading(int(a), int(b), n=2000)) for a, b in rng.binomial(2000, 0.1, (2000, 2))]
    assert words.count("ship") <= 6
    assert words.count("keep running") > 1985


def test_decide_verdict__negative_effect__never_ships() -> None:
    rng = np.random.default_rng(6)
    pairs = zip(rng.binomial(2000, 0.10, 2000), rng.binomial(2000, 0.095, 2000), strict=True)
    assert "ship" not in {word(reading(int(a), int(b), n=2000)) for a, b in pairs}
