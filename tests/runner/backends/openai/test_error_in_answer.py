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
