from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_eval_so.runner.backends.http.error_response import from_status
from lm_eval_so.runner.backends.http.header import (
    header_fault,
    header_text,
    parse_headers,
    request_id,
)
from lm_eval_so.runner.backends.openai.completion import parse_completion


@pytest.mark.parametrize("value", ["", "eval", "a b\tc", "Bearer sk-1", "!#$%&'*+-.^_`|~\""])
def test_what_can_be_sent_has_no_fault(value: str) -> None:
    assert header_fault("X-Team", value) is None


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("X-Team", "a\nb", "a line break"),
        ("X-Team", "a\rb", "a line break"),
        ("X-Team", "a\x00b", "a control character"),
        ("X-Team", "a\x7fb", "a control character"),
        ("X-Team", "팀", "beyond ASCII"),
        ("X-Team", "caf\u00e9", "beyond ASCII"),
        ("X-Team", "sk-\u200b1", "beyond ASCII"),
        ("X Team", "a", "no name of a header"),
        ("X-Team:", "a", "no name of a header"),
        ("", "a", "no name of a header"),
        ("X-\ud300", "a", "no name of a header"),
        ("X\r\nY", "a", "no name of a header"),
        ("Content-Length", "5", "cannot be set"),
        ("transfer-encoding", "chunked", "cannot be set"),
        ("Expect", "100-continue", "cannot be set"),
    ],
)
def test_what_cannot_be_sent_is_told_without_its_value(name: str, value: str, why: str) -> None:
    fault = header_fault(name, value)
    assert fault is not None
    assert why in fault
    assert "\n" not in fault


def test_headers_in_a_variable_stand_one_a_line() -> None:
    text = "X-Team: eval \r\n Authorization : Bearer a:b\nno colon\n\n"
    assert parse_headers(text) == {"X-Team": "eval", "Authorization": "Bearer a:b"}


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ({"x-request-id": "a", "x-litellm-call-id": "b"}, "a"),
        ({"x-litellm-call-id": "b"}, "b"),
        ({"x-request-id": "", "x-litellm-call-id": "b"}, "b"),
        ({"x-request-id": "r\udce9"}, "r\u00e9"),
        ({"x-litellm-call-id": "요청"}, "요청"),
        ({}, None),
    ],
    ids=["both", "gateway", "empty", "latin-1", "utf-8", "none"],
)
def test_the_request_id_is_that_of_the_provider_or_the_gateway(
    headers: dict[str, str], found: str | None
) -> None:
    assert request_id(headers) == found
    body = {"choices": [{"message": {"content": "a"}}]}
    assert parse_completion(body, 200, headers).request_id == found
    details = from_status(500, headers, b"{}").details or {}
    assert details.get("request_id") == found


@given(st.binary(max_size=20))
def test_every_header_can_be_written(raw: bytes) -> None:
    assert isinstance(header_text(raw.decode(errors="surrogateescape")).encode(), bytes)
