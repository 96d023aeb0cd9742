from __future__ import annotations

import pytest

from lm_eval_so.runner.backends.openai.completion import parse_completion
from lm_eval_so.runner.errors import BackendError


@pytest.mark.parametrize(
    ("code", "kind", "status"),
    [
        (429, "RateLimitError", 429),
        ("502", "InternalServerError", 502),
        (402, "QuotaExceededError", 402),
        ("server_error", "InvalidResponseError", 200),
        (1301, "InvalidResponseError", 200),
        (None, "InvalidResponseError", 200),
        (True, "InvalidResponseError", 200),
    ],
)
def test_an_error_within_a_200_is_classified_by_its_code(
    code: object, kind: str, status: int
) -> None:
    with pytest.raises(BackendError) as raised:
        parse_completion({"error": {"code": code, "message": "try again in 2s"}}, 200, {})
    assert (raised.value.error_type, raised.value.status_code) == (kind, status)


def test_an_error_within_a_200_tells_its_wait() -> None:
    with pytest.raises(BackendError) as raised:
        parse_completion({"error": {"code": 429, "message": "try again in 2s"}}, 200, {})
    assert raised.value.retry_after == 2


WHOLE = {"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]}


@pytest.mark.parametrize(
    "error",
    ["none", "0", "success", [], {}, {"code": 0, "message": "done"}, {"code": None, "message": ""}],
    ids=str,
)
def test_an_error_beside_an_answer_that_says_there_is_none_is_none(error: object) -> None:
    assert parse_completion({**WHOLE, "error": error}, 200, {}).text == "hi"


@pytest.mark.parametrize("error", ["x", True, {"code": "", "message": "x"}, {"code": 1}], ids=str)
def test_an_error_beside_an_answer_is_one(error: object) -> None:
    with pytest.raises(BackendError):
        parse_completion({**WHOLE, "error": error}, 200, {})
