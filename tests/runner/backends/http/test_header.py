from __future__ import annotations

import pytest

from lm_eval_so.runner.backends.http.header import header_fault, parse_headers


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
