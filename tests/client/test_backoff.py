from controlplane.client.backoff import Backoff, retry_after_seconds


def test_backoff__failures_in_a_row__doubles_to_the_cap() -> None:
    backoff = Backoff(base=0.5, cap=4.0, uniform=lambda: 1.0)
    assert [backoff.failed() for _ in range(5)] == [0.5, 1.0, 2.0, 4.0, 4.0]


def test_backoff__least_jitter__waits_half() -> None:
    backoff = Backoff(base=1.0, cap=60.0, uniform=lambda: 0.0)
    assert [backoff.failed() for _ in range(3)] == [0.5, 1.0, 2.0]


def test_backoff__after_success__starts_again() -> None:
    backoff = Backoff(base=1.0, cap=60.0, uniform=lambda: 1.0)
    backoff.failed()
    backoff.failed()
    backoff.succeeded()
    assert backoff.failed() == 1.0


def test_backoff__server_asks_for_longer__obeys_up_to_five_minutes() -> None:
    backoff = Backoff(base=1.0, cap=60.0, uniform=lambda: 1.0)
    assert backoff.failed(retry_after=30.0) == 30.0
    assert backoff.failed(retry_after=1e9) == 300.0
    assert backoff.failed(retry_after=0.0) == 4.0


def test_backoff__thousand_failures__stays_at_the_cap() -> None:
    backoff = Backoff(base=1.0, cap=60.0, uniform=lambda: 1.0)
    assert [backoff.failed() for _ in range(1_000)][-1] == 60.0


def test_jittered__whole_range__moves_a_tenth_either_way() -> None:
    assert Backoff(base=1, cap=1, uniform=lambda: 0.0).jittered(10.0) == 9.0
    assert Backoff(base=1, cap=1, uniform=lambda: 0.5).jittered(10.0) == 10.0
    assert Backoff(base=1, cap=1, uniform=lambda: 1.0).jittered(10.0) == 11.0


def test_retry_after_seconds__garbage__is_none() -> None:
    assert [retry_after_seconds(text) for text in ("5", " 5 ", "-5", "5.5", "soon", "", None)] == [
        5.0,
        5.0,
        None,
        None,
        None,
        None,
        None,
    ]
