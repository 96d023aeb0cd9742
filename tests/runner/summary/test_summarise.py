from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_eval_so.runner.summary.failures import Failures
from support.results import summed

_SAMPLE = {
    "sample_id": "s",
    "completed_at": "2026-11-01T00:00:00Z",
    "request_context": {"sample_tags": []},
    "request_messages": [{"role": "user", "content": "q"}],
}


def ok(latency: float | None = 10.0, **changed: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    response = {"text": "fine", "tokens": {"input": 7, "output": 3, "total": 10}}
    line = {**_SAMPLE, "status": "ok", "attempts": 1, "latency_ms": latency, "error": None}
    return {**line, "response": {**response, **changed}}


def failed(
    error_type: str = "InternalServerError", code: int | None = 500, message: str = "no"
) -> dict[str, Any]:
    error = {"error_type": error_type, "message": message, "status_code": code}
    status = "timeout" if error_type == "APITimeoutError" else "error"
    line = {**_SAMPLE, "status": status, "attempts": 1, "latency_ms": 9999.0}
    return {**line, "response": None, "error": error}


def log(line: dict[str, Any], *codes: int | None) -> dict[str, Any]:
    attempts = [{"status_code": code, "error_type": None} for code in codes]
    return {**line, "attempts": len(codes), "attempt_log": attempts}


def test_no_results_are_all_owed() -> None:
    summary = summed([], 5)
    assert summary.total == 5
    assert summary.status_counts == {"owed": 5}
    assert summary.latency_ms is None
    assert summary.time_to_first_token_ms is None
    assert summary.tokens == {"input": 0, "output": 0, "total": 0}
    assert (summary.attempts, summary.retries, summary.rate_limited) == (0, 0, 0)


@given(st.integers(0, 5), st.integers(0, 5), st.integers(0, 5), st.integers(0, 5))
def test_every_sample_is_counted_once(fine: int, bad: int, late: int, owed: int) -> None:
    total = fine + bad + late + owed
    lines = [ok()] * fine + [failed()] * bad + [failed("APITimeoutError", None)] * late
    counts = summed(lines, total).status_counts
    expected = {"ok": fine, "error": bad, "timeout": late, "owed": owed}
    assert counts == {name: number for name, number in expected.items() if number}
    assert sum(counts.values()) == total


def test_failures_stay_in_the_denominator_and_out_of_the_latencies() -> None:
    summary = summed([ok(10), failed(), ok(30), failed("APITimeoutError", None)], 4)
    assert summary.total == 4
    assert summary.latency_ms is not None
    assert (summary.latency_ms["max"], summary.latency_ms["mean"]) == (30, 20)


def test_errors_are_counted_by_type_the_most_frequent_first() -> None:
    lines = [failed("A"), failed("B"), failed("B"), ok(), failed("C"), failed("B"), failed("C")]
    assert list(summed(lines, 7).error_counts.items()) == [("B", 3), ("C", 2), ("A", 1)]


def test_each_type_of_error_has_its_commonest_message() -> None:
    lines = [failed("A", message=text) for text in ("once", "often", "often")]
    lines += [failed("B", message="other")]
    assert summed(lines, 4).error_messages == {"A": "often", "B": "other"}


def test_a_message_is_kept_on_one_line_without_what_moves_a_cursor() -> None:
    page = "<html>\r\n\t<b>502</b>\x1b[2J\x00 한국어" + 5000 * "x"
    found = summed([failed(message=page)], 1).error_messages["InternalServerError"]
    assert found.startswith("<html> <b>502</b> [2J 한국어xxx")
    assert found.endswith("…")
    assert len(found) == 200


def test_messages_that_never_repeat_do_not_fill_the_memory() -> None:
    failures = Failures()
    for number in range(10_000):
        failures.add(failed(message=f"request {number}")["error"])
        failures.add(failed(message="request 7")["error"])
    assert failures.commonest() == {"InternalServerError": "request 7"}
    assert failures.counts == {"InternalServerError": 20_000}
    assert sum(map(len, failures._messages.values())) <= 100


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        (None, {"input": 7, "output": 3, "total": 10}),
        (
            {"input": None, "output": None, "total": None},
            {"input": 7, "output": 3, "total": 10},
        ),
        ({"input": 5, "output": None, "total": None}, {"input": 12, "output": 3, "total": 10}),
        ({"input": 0, "output": 2, "total": 2}, {"input": 7, "output": 5, "total": 12}),
    ],
    ids=["no-usage", "empty", "partly", "zero"],
)
def test_tokens_are_added_as_far_as_the_server_told(
    tokens: dict[str, int | None] | None, expected: dict[str, int]
) -> None:
    assert summed([ok(), ok(tokens=tokens)], 2).tokens == expected


def test_an_answer_without_a_latency_is_counted_all_the_same() -> None:
    summary = summed([ok(None), ok(20)], 2)
    assert summary.status_counts == {"ok": 2}
    assert summary.latency_ms is not None
    assert summary.latency_ms["min"] == 20


def test_the_time_to_the_first_token_is_that_of_streamed_answers() -> None:
    lines = [ok(), ok(time_to_first_token_ms=5.0), ok(time_to_first_token_ms=None)]
    found = summed(lines, 3).time_to_first_token_ms
    assert found is not None
    assert (found["min"], found["max"]) == (5, 5)


def test_retries_and_429s_are_read_from_the_attempts() -> None:
    lines = [
        ok(),
        log(ok(), 429, 429, 200),
        log(failed(), 429, 500, 503),
        log(failed("RateLimitError", 429), 500, 429),
        failed("RateLimitError", 429),
        log(failed("APIConnectionError", None), None, None),
    ]
    summary = summed(lines, 6)
    assert summary.attempts == 1 + 3 + 3 + 2 + 1 + 2
    assert summary.retries == summary.attempts - 6
    assert summary.rate_limited == 2 + 1 + 1 + 1


def test_results_are_read_one_at_a_time() -> None:
    assert summed((ok(float(number)) for number in range(1000)), 1000).attempts == 1000
