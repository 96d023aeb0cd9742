from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_eval_so.runner.backends.http import limit_headers as module
from lm_eval_so.runner.backends.http.limit_headers import HeaderLimit, read_limits


@pytest.fixture(autouse=True)
def _nothing_told_yet() -> None:
    for kept in module._LOG.filters:
        assert isinstance(kept, module.OncePerKind)
        kept.told.clear()


def openai(unit: str, limit: object, remaining: object, reset: str) -> dict[str, str]:
    values = {"limit": limit, "remaining": remaining, "reset": reset}
    return {f"x-ratelimit-{name}-{unit}": str(value) for name, value in values.items()}


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        pytest.param({}, {}, id="none"),
        pytest.param(
            openai("requests", 3000, 2999, "20ms") | openai("tokens", 60_000, 59_000, "1s"),
            {"requests": HeaderLimit(50, 2999), "tokens": HeaderLimit(1000, 59_000)},
            id="openai",
        ),
        pytest.param(
            openai("requests", 14_400, 14_370, "2m59.56s"),
            {"requests": HeaderLimit(pytest.approx(1 / 6, rel=0.01), 14_370)},
            id="counted-by-the-day",
        ),
        pytest.param(
            openai("requests", 3000, 49, "20ms"),
            {"requests": HeaderLimit(50, 49)},
            id="small-bucket",
        ),
        pytest.param(
            openai("requests", 60, 60, "0s"), {"requests": HeaderLimit(1, 60)}, id="nothing-used"
        ),
        pytest.param(
            {"ratelimit-limit": "100", "ratelimit-remaining": "50", "ratelimit-reset": "30"},
            {"requests": HeaderLimit(pytest.approx(100 / 60), 50)},
            id="generic",
        ),
        pytest.param(
            {"ratelimit-limit": "100, 100;w=10", "ratelimit-remaining": "50"},
            {"requests": HeaderLimit(10, 50)},
            id="window-in-the-limit",
        ),
        pytest.param(
            {
                "ratelimit-limit": "100",
                "ratelimit-policy": "100;w=10",
                "ratelimit-remaining": "50",
            },
            {"requests": HeaderLimit(10, 50)},
            id="window-in-the-policy",
        ),
        pytest.param(
            {"x-ratelimit-limit": "100", "x-ratelimit-remaining": "9"},
            {"requests": HeaderLimit(pytest.approx(100 / 60), 9)},
            id="generic-x",
        ),
        pytest.param(openai("requests", "many", 1, "1s"), {}, id="no-number"),
        pytest.param(openai("requests", 0, 0, "1s"), {}, id="zero"),
        pytest.param(
            openai("requests", 60, -1, "1s"), {"requests": HeaderLimit(1, 0)}, id="none-left"
        ),
        pytest.param(openai("tokens", 60, "nan", "1s"), {}, id="nan"),
        pytest.param(
            openai("requests", 60, 1, "1790000000"),
            {"requests": HeaderLimit(1, 1)},
            id="point-in-time",
        ),
    ],
)
def test_limits_are_read_off_the_headers(
    headers: dict[str, str], expected: dict[str, HeaderLimit]
) -> None:
    assert read_limits(headers) == expected


def kong(window: str, limit: int, remaining: int) -> dict[str, str]:
    """As Kong sends it, beside the plain names with its next reset."""
    values = {f"x-ratelimit-limit-{window}": limit, f"x-ratelimit-remaining-{window}": remaining}
    return {name: str(value) for name, value in values.items()} | {"ratelimit-reset": "1"}


def litellm(headers: dict[str, str]) -> dict[str, str]:
    return {f"llm_provider-{name}": value for name, value in headers.items()}


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        pytest.param(
            litellm(openai("requests", 60, 59, "1s") | openai("tokens", 6000, 5000, "10s")),
            {"requests": HeaderLimit(1, 59), "tokens": HeaderLimit(100, 5000)},
            id="of-the-provider-behind-litellm",
        ),
        pytest.param(
            openai("requests", 60, 59, "1s") | litellm(openai("requests", 600, 599, "1s")),
            {"requests": HeaderLimit(1, 59)},
            id="plain-ones-win",
        ),
        pytest.param(
            openai("requests", "None", "None", "") | litellm(openai("requests", 60, 9, "")),
            {"requests": HeaderLimit(1, 9)},
            id="plain-ones-that-tell-nothing",
        ),
        pytest.param(
            litellm(openai("requests", 60, -3, "")), {"requests": HeaderLimit(1, 0)}, id="negative"
        ),
        pytest.param(
            {
                "x-ratelimit-api_key-limit-requests": "60",
                "x-ratelimit-api_key-remaining-requests": "59",
                "x-ratelimit-model_per_key-limit-tokens": "6000",
                "x-ratelimit-model_per_key-remaining-tokens": "5000",
            },
            {"requests": HeaderLimit(1, 59), "tokens": HeaderLimit(100, 5000)},
            id="litellm-s-own-by-key",
        ),
        pytest.param(
            {
                "anthropic-ratelimit-requests-limit": "60",
                "anthropic-ratelimit-requests-remaining": "59",
                "anthropic-ratelimit-requests-reset": "2026-11-01T12:00:01Z",
                "anthropic-ratelimit-tokens-limit": "6000",
                "anthropic-ratelimit-tokens-remaining": "5000",
                "anthropic-ratelimit-tokens-reset": "2026-11-01T12:00:10Z",
            },
            {"requests": HeaderLimit(1, 59), "tokens": HeaderLimit(100, 5000)},
            id="anthropic",
        ),
        pytest.param(
            kong("second", 5, 4) | {"ratelimit-limit": "5", "ratelimit-remaining": "4"},
            {"requests": HeaderLimit(5, 4)},
            id="kong-by-the-second",
        ),
        pytest.param(
            kong("hour", 7200, 7000) | kong("minute", 300, 299),
            {"requests": HeaderLimit(5, 299)},
            id="kong-the-shortest-window",
        ),
        pytest.param(kong("day", 86400, 9), {"requests": HeaderLimit(1, 9)}, id="kong-by-the-day"),
    ],
)
def test_gateways_and_other_providers_are_understood(
    headers: dict[str, str], expected: dict[str, HeaderLimit]
) -> None:
    assert read_limits(headers) == expected


@pytest.mark.parametrize("limit", ["1e-300", "0", "-60", "nan", "inf", "1e300", "0.5"])
def test_a_limit_that_makes_no_sense_is_told_once_and_ignored(
    limit: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert read_limits(openai("requests", limit, 5, "1s")) == {}
    (only,) = caplog.messages
    assert limit in only


@pytest.mark.parametrize("reset", ["94608000", "26280h0m0s", "nan", "inf", "1000d"])
def test_a_reset_that_makes_no_sense_is_told_once_and_ignored(
    reset: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert read_limits(openai("requests", 60, 0, reset)) == {"requests": HeaderLimit(1, 0)}
    (only,) = caplog.messages
    assert reset in only


@pytest.mark.parametrize("reset", ["0", "0s", "-5", "", "soon", "1790000000", "1790000000000"])
def test_a_reset_that_tells_no_duration_is_nothing_to_speak_of(
    reset: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert read_limits(openai("requests", 60, 5, reset)) == {"requests": HeaderLimit(1, 5)}
    assert caplog.messages == []


def test_the_largest_integer_is_no_limit_and_no_nonsense(
    caplog: pytest.LogCaptureFixture,
) -> None:
    most = 2**63 - 1
    told = read_limits(openai("requests", most, most, ""))["requests"]
    assert told.per_second > 1e15
    assert caplog.messages == []


@pytest.mark.parametrize(
    "headers",
    [
        openai("requests", 1, 0, "30d"),
        openai("requests", 50, 49, "23h59m"),
        {"ratelimit-limit": "1;w=86400", "ratelimit-remaining": "0"},
        {"ratelimit-limit": "9;w=" + "9" * 400, "ratelimit-remaining": "0"},
    ],
)
def test_no_header_takes_the_rate_below_one_question_an_hour(headers: dict[str, str]) -> None:
    assert read_limits(headers)["requests"].per_second >= 1 / 3600


def test_no_header_leaves_more_than_its_own_limit() -> None:
    assert read_limits(openai("requests", 60, "1e300", "")) == {"requests": HeaderLimit(1, 60)}


@given(*[st.text() | st.floats().map(str)] * 4)
def test_no_header_can_break_a_run(limit: str, remaining: str, reset: str, policy: str) -> None:
    headers = openai("tokens", limit, remaining, reset)
    headers |= {"ratelimit-limit": limit, "ratelimit-remaining": remaining}
    headers |= {"ratelimit-reset": reset, "ratelimit-policy": policy}
    for unit, told in read_limits(headers).items():
        assert module._SLOWEST[unit] <= told.per_second < float("inf")
        assert 0 <= told.remaining < float("inf")


@pytest.mark.parametrize("reset", ["1" * 1_000_000, "1." * 500_000, "1" * 1_000_000 + "s"])
def test_a_long_header_takes_time_by_its_length_alone(reset: str) -> None:
    assert set(read_limits(openai("requests", 60, 30, reset))) == {"requests"}
