from __future__ import annotations

import json
import logging
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_eval_so.runner.backends.http import retry_after as module
from lm_eval_so.runner.backends.http.error_response import from_status
from lm_eval_so.runner.backends.http.retry_after import (
    LONGEST_WAIT,
    requested_wait,
    retry_after,
    wait_in_text,
)

NOW = datetime(2026, 11, 1, 12, 0, 0, tzinfo=UTC)
SECONDS_1970 = int(NOW.timestamp())


@pytest.fixture(autouse=True)
def _nothing_told_yet() -> None:
    for kept in module._LOG.filters:
        assert isinstance(kept, module.OncePerKind)
        kept.told.clear()


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "86400"}, 86_400),
        ({"retry-after": "200000"}, 200_000),
        ({"retry-after": str(SECONDS_1970 + 90)}, 90),
        ({"retry-after": str(SECONDS_1970 - 90)}, 0),
        ({"retry-after": str((SECONDS_1970 + 90) * 1000)}, 90),
        ({"retry-after-ms": str((SECONDS_1970 + 90) * 1000)}, 90),
        ({"retry-after": "1e300"}, LONGEST_WAIT),
        ({"retry-after": "1" * 300}, LONGEST_WAIT),
        ({"retry-after": "5e8"}, LONGEST_WAIT),
        ({"retry-after": "9e10"}, LONGEST_WAIT),
        ({"retry-after-ms": "1e300"}, LONGEST_WAIT),
        ({"retry-after": "1" * 5000}, None),
        ({"retry-after": "Fri, 31 Dec 9999 23:59:59 GMT"}, LONGEST_WAIT),
        ({"llm_provider-retry-after": "7"}, 7),
        ({"llm_provider-retry-after-ms": "70"}, 0.07),
        ({"llm_provider-retry-after": "Sun, 01 Nov 2026 12:00:30 GMT"}, 30),
        ({"llm_provider-retry-after": "7", "retry-after": "3"}, 3),
        ({"llm_provider-retry-after": "7", "retry-after": "soon"}, 7),
    ],
    ids=lambda value: "+".join(value.values())[:40] if isinstance(value, dict) else None,
)
def test_a_long_wait_is_passed_on_and_an_absurd_one_has_an_end(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert retry_after(headers, NOW) == seconds


def test_no_wait_is_too_long_to_be_added_to_a_date() -> None:
    assert NOW + timedelta(seconds=retry_after({"retry-after": "1e300"}, NOW) or 0) > NOW


@pytest.mark.parametrize("value", ["nan", "inf", "soon", "-5", "1e300"])
def test_what_makes_no_sense_is_told_once(value: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            retry_after({"retry-after": value}, NOW)
    (only,) = caplog.messages
    assert value in only


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Rate limit reached for gpt-4o. Please try again in 2.1s. Visit", 2.1),
        ("Please try again in 7m12s. Need more tokens?", 432),
        ("Please try again in 7m12.5s.", 432.5),
        ("Please try again in 20ms.", 0.02),
        ("Please try again in 20 ms", 0.02),
        ("Please try again in 6m0s.", 360),
        ("try again in 1h2m3s", 3723),
        ("Please retry in 35.601868411s.", 35.601868411),
        ("please retry in 3 seconds", 3),
        ("Please retry after 20 seconds.", 20),
        ("Retrying in 1 minute and 5 seconds", 65),
        ("No deployments available for selected model, Try again in 5 seconds. Passed model=m", 5),
        ("Too many requests, wait for 1 hour", 3600),
        ("Please wait 2 days", 172_800),
        ("Limit resets at: 2026-11-01 12:00:30 UTC", 30),
        ("Limit resets at: 2026-11-01T12:00:30.25Z", 30),
        ("Limit resets at: 2026-11-01 11:00:00 UTC", 0),
        ("Limit resets at: 2026-99-01 11:00:00 UTC", None),
        ('{"details": [{"retryDelay": "3s"}]}', 3),
        ('{"details": [{"retryDelay": "3.5s"}]}', 3.5),
        ('{"message": "{\\"retryDelay\\": \\"3s\\"}"}', 3),
        ("{'retryDelay': '3s'}", 3),
        ('{"detail": "Request was throttled.", "status": 429, "retry_after": 4}', 4),
        ("Please try again in 99999999999999999999 days", LONGEST_WAIT),
        ("Please try again later.", None),
        ("Please try again in a few minutes.", None),
        ("Please try again in 3 months.", None),
        ("Retry 3 times", None),
        ("limit 20 s, used 3 s", None),
        ("", None),
    ],
)
def test_the_wait_is_read_off_the_sentence(text: str, seconds: float | None) -> None:
    assert wait_in_text(text, NOW) == (None if seconds is None else pytest.approx(seconds))


def test_a_header_wins_over_the_body() -> None:
    assert requested_wait({"retry-after": "1"}, "try again in 9s", NOW) == 1
    assert requested_wait({"retry-after": "soon"}, "try again in 9s", NOW) == 9
    assert requested_wait({}, "try again in 9s", NOW) == 9


@pytest.mark.parametrize("off", [-3600, -1, 0, 1, 3600], ids=str)
def test_a_point_in_time_is_measured_on_the_clock_of_the_server(off: int) -> None:
    its_now = NOW + timedelta(seconds=off)
    until = its_now + timedelta(seconds=7)
    date = {"date": its_now.strftime("%a, %d %b %Y %H:%M:%S GMT")}
    named = {"retry-after": until.strftime("%a, %d %b %Y %H:%M:%S GMT")}
    counted = {"retry-after": str(int(until.timestamp()))}
    text = f"Limit resets at: {until:%Y-%m-%d %H:%M:%S} UTC."
    assert requested_wait(date | named, "", NOW) == 7
    assert requested_wait(date | counted, "", NOW) == 7
    assert requested_wait(date, text, NOW) == 7
    assert requested_wait(date | {"retry-after": "3"}, "", NOW) == 3


@pytest.mark.parametrize("date", ["", "now", "Sun, 99 Nov 2026 99:99:99 GMT", "0", "1e300"])
def test_a_date_that_cannot_be_read_leaves_our_own_clock(date: str) -> None:
    until = (NOW + timedelta(seconds=7)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    assert requested_wait({"date": date, "retry-after": until}, "", NOW) == 7


@given(st.text())
def test_no_text_can_break_a_run(text: str) -> None:
    for sentence in (text, f"try again in {text}", f'"retryDelay": "{text}"', f"resets at {text}"):
        seconds = wait_in_text(sentence, NOW)
        assert seconds is None or 0 <= seconds <= LONGEST_WAIT


@given(st.floats(), st.sampled_from([*module._HEADERS]))
def test_no_number_in_a_header_can_break_a_run(number: float, name: str) -> None:
    seconds = retry_after({name: str(number)}, NOW)
    assert seconds is None or 0 <= seconds <= LONGEST_WAIT


def gemini(message: str, delay: str) -> bytes:
    info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}
    other = {"@type": "type.googleapis.com/google.rpc.Help", "links": [{"description": "x" * 3000}]}
    error = {"code": 429, "message": message, "status": "RESOURCE_EXHAUSTED"}
    return json.dumps([{"error": {**error, "details": [other, info]}}]).encode()


def test_gemini_s_one_element_list_is_understood() -> None:
    found = from_status(429, {}, gemini("Quota exceeded. Please retry later.", "3.5s"))
    assert found.error_type == "RateLimitError"
    assert found.retry_after == 3.5
    assert found.message == "Quota exceeded. Please retry later."
    assert found.details is not None
    assert found.details["status"] == "RESOURCE_EXHAUSTED"


@pytest.mark.parametrize("status", [408, 409, 424, 425, 429, 498, 499, 500, 502, 503, 504, 529])
def test_a_wait_is_kept_where_the_request_is_tried_again(status: int) -> None:
    body = b'{"error": {"message": "try again in 2s"}}'
    assert from_status(status, {}, body).retry_after == 2
    assert from_status(status, {"retry-after": "3"}, body).retry_after == 3


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 405, 407, 413, 418, 422])
def test_a_wait_is_none_where_the_request_is_not_tried_again(status: int) -> None:
    body = b'{"error": {"message": "try again in 2s"}}'
    assert from_status(status, {"retry-after": "3"}, body).retry_after is None


def test_a_spent_quota_is_not_waited_for() -> None:
    body = b'{"error": {"message": "spent, try again in 2s", "code": "insufficient_quota"}}'
    assert from_status(429, {"retry-after": "3"}, body).retry_after is None


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "Sun, 01 Nov 2026 12:00:30 GMT"}, 30),
        ({"retry-after": "Sun, 01 Nov 2026 11:00:00 GMT"}, 0),
        ({"retry-after": "Sunday, 01-Nov-26 12:00:30 GMT"}, 30),
        ({"retry-after": "Sun Nov  1 12:00:30 2026"}, 30),
        ({"retry-after": "Sun, 01 Nov 2026 13:00:00 +0100"}, 0),
        ({"retry-after": "-5"}, 0),
        ({"retry-after": ""}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "1e999"}, None),
        ({"retry-after": "Sun, 99 Nov 2026 12:00:00 GMT"}, None),
        ({"retry-after": "Sun, 01 Nov 99999999999999999999 12:00:00 GMT"}, None),
        ({"retry-after-ms": "-1"}, 0),
        ({"retry-after-ms": "x", "retry-after": "3"}, 3),
        ({"retry-after-ms": "nan", "retry-after": "3"}, 3),
        ({"retry-after-ms": "inf", "retry-after": "3"}, 3),
    ],
    ids=lambda value: "+".join(value.values()) if isinstance(value, dict) else None,
)
def test_every_form_of_retry_after_is_understood_or_counts_as_absent(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert retry_after(headers, NOW) == seconds


@given(st.fixed_dictionaries({}, optional={"retry-after": st.text(), "retry-after-ms": st.text()}))
def test_no_retry_after_can_break_a_run(headers: dict[str, str]) -> None:
    seconds = retry_after(headers, NOW)
    assert seconds is None or 0 <= seconds < float("inf")
