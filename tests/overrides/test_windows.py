"""Local times of a zone become UTC instants, over daylight saving too."""

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overrides import windows

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu")


@pytest.mark.parametrize(
    ("text", "zone", "utc"),
    [
        ("2026-07-01T08:00", "Europe/Berlin", "2026-07-01T06:00:00Z"),
        ("2026-12-01 08:00", "Europe/Berlin", "2026-12-01T07:00:00Z"),
        ("2026-12-01T08:00", "Asia/Kathmandu", "2026-12-01T02:15:00Z"),
        ("2026-12-01T08:00+01:00", "America/New_York", "2026-12-01T07:00:00Z"),
        ("", "UTC", None),
    ],
)
def test_to_utc__local_time__is_the_instant(text: str, zone: str, utc: str | None) -> None:
    assert windows.to_utc(text, zone) == utc


@pytest.mark.parametrize(
    ("text", "zone", "message"),
    [
        (
            "2026-03-29T02:30",
            "Europe/Berlin",
            "02:30 on 29 March 2026 does not exist in Europe/Berlin: the clocks go from 02:00 to 03:00.",
        ),
        (
            "2026-10-04T02:15",
            "Australia/Lord_Howe",
            "02:15 on 04 October 2026 does not exist in Australia/Lord_Howe: the clocks go from 02:00 to 02:30.",
        ),
        ("tomorrow", "UTC", "'tomorrow' is not a time."),
        ("2026-03-29T08:00", "Mars/Base", "'Mars/Base' is no time zone"),
    ],
)
def test_to_utc__time_that_cannot_be_meant__says_why_and_what_to_write(
    text: str, zone: str, message: str
) -> None:
    with pytest.raises(windows.WindowError) as caught:
        windows.to_utc(text, zone)

    assert caught.value.message == message
    assert caught.value.remedy != ""


def test_to_utc__time_that_comes_twice__starts_at_the_first_and_ends_at_the_second() -> None:
    assert windows.to_utc("2026-10-25T02:30", "Europe/Berlin") == "2026-10-25T00:30:00Z"
    assert windows.to_utc("2026-10-25T02:30", "Europe/Berlin", ends=True) == "2026-10-25T01:30:00Z"


@given(
    moment=st.datetimes(min_value=datetime(2020, 1, 1), max_value=datetime(2035, 1, 1)).map(
        lambda one: one.replace(second=0, microsecond=0)
    ),
    zone=st.sampled_from(ZONES),
)
def test_to_utc__any_time_shown__is_read_back_or_comes_twice(moment: datetime, zone: str) -> None:
    instant = f"{moment:%Y-%m-%dT%H:%M}:00Z"
    shown = windows.to_local(instant, zone)

    assert instant in {windows.to_utc(shown, zone), windows.to_utc(shown, zone, ends=True)}


def test_read_lines__lines__are_windows_and_are_written_back() -> None:
    text = "2026-12-01 08:00 to 2026-12-05 20:00\n\nto 2026-12-09 08:00\n2027-01-01 00:00 to"

    found = [window for _, window in windows.read_lines(text, "Europe/Berlin")]

    assert found == [
        ["2026-12-01T07:00:00Z", "2026-12-05T19:00:00Z"],
        [None, "2026-12-09T07:00:00Z"],
        ["2026-12-31T23:00:00Z", None],
    ]
    assert windows.write_lines(found, "Europe/Berlin") == text.replace("\n\n", "\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("2026-12-01 08:00 - 2026-12-05", "Line 1, '2026-12-01 08:00 - 2026-12-05', is no window."),
        ("\n2026-03-29 02:30 to", "Line 2: 02:30 on 29 March 2026 does not exist"),
    ],
)
def test_read_lines__line_wrong__names_the_line(text: str, message: str) -> None:
    with pytest.raises(windows.WindowError) as caught:
        list(windows.read_lines(text, "Europe/Berlin"))

    assert caught.value.message.startswith(message)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ([], [], True),
        ([], [["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"]], True),
        ([["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"]], [["2026-01-02T00:00:00Z", None]], False),
        ([["2026-01-01T00:00:00Z", "2026-01-02T00:00:01Z"]], [["2026-01-02T00:00:00Z", None]], True),
        ([[None, "2026-01-01T00:00:00Z"]], [["2026-02-01T00:00:00Z", None]], False),
    ],
)
def test_overlap__windows__share_an_instant_or_not(
    one: list[windows.Window], other: list[windows.Window], expected: bool
) -> None:
    assert windows.overlap(one, other) is expected
    assert windows.overlap(other, one) is expected
