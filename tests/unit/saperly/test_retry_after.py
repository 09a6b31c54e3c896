"""Retry-After in every form that a server or a proxy may give it."""

from datetime import UTC, datetime

import pytest

from saperly_operator.saperly.retry_after import parse_http_date, parse_retry_after

ANSWERED_AT = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)


@pytest.mark.contract("open-retry-after")
@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        pytest.param(None, None, id="missing"),
        pytest.param("", None, id="empty"),
        pytest.param("120", 120.0, id="seconds"),
        pytest.param("  7 ", 7.0, id="seconds with space around"),
        pytest.param("0", 0.0, id="zero is handed on"),
        pytest.param("-5", -5.0, id="negative is handed on"),
        pytest.param("1.5", 1.5, id="a fraction"),
        pytest.param("99999999999", 99999999999.0, id="absurd is handed on"),
        pytest.param("9" * 400, None, id="more than a float holds"),
        pytest.param("1e9", None, id="no exponent"),
        pytest.param("nan", None, id="not a number"),
        pytest.param("inf", None, id="infinity"),
        pytest.param("soon", None, id="a word"),
        pytest.param("1, 2", None, id="two headers joined"),
        pytest.param("Tue, 24 Nov 2026 10:01:30 GMT", 90.0, id="an HTTP date"),
        pytest.param("Tue, 24 Nov 2026 09:59:00 GMT", -60.0, id="an HTTP date gone by"),
        pytest.param("Tue, 24 Nov 2026 12:01:30 +0200", 90.0, id="a date with an offset"),
        pytest.param("Tue, 24 Nov 2026 10:01:30 -0000", 90.0, id="a date of no zone is UTC"),
        pytest.param("Tuesday, 24-Nov-26 10:01:30 GMT", 90.0, id="the obsolete RFC 850 form"),
        pytest.param("Tue, 99 Nov 2026 10:01:30 GMT", None, id="no such day"),
        pytest.param("2026-11-24T10:01:30Z", None, id="another kind of date"),
    ],
)
def test_retry_after_is_read_as(value: str | None, seconds: float | None) -> None:
    assert parse_retry_after(value, answered_at=ANSWERED_AT) == seconds


@pytest.mark.parametrize("value", ["Fri, 31 Dec 9999 23:59:59 -2359", "\x00", "GMT", ","])
def test_a_date_beyond_the_calendar_is_no_date(value: str) -> None:
    assert parse_http_date(value) is None
