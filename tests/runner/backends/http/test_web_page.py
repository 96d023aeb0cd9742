from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_eval_so.runner.backends.http.error_response import from_status
from lm_eval_so.runner.backends.http.json_body import read_json
from lm_eval_so.runner.backends.http.web_page import is_page, page_words
from lm_eval_so.runner.errors import InvalidResponseError
from support.completions import read_answer

PAGES = {
    "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n": "502 Bad Gateway",
    "<!DOCTYPE html><html><TITLE >\n Sign in\n &amp; go </TITLE>": "Sign in & go",
    "\ufeff\n<html><style>p</style><script>x()</script><p>Access</p>\n<p>denied": "Access denied",
    "<html></html>": "(no words)",
    "<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>": "AccessDenied",
    "<html><title></title><h1>Not here</h1>": "Not here",
}


@pytest.mark.parametrize("status", [403, 502])
@pytest.mark.parametrize("page", PAGES)
def test_of_a_page_the_title_or_the_first_words_are_told(page: str, status: int) -> None:
    found = from_status(status, {}, page.encode())
    assert found.message == PAGES[page]
    assert found.details is not None
    assert found.details["body"]


def test_a_page_without_end_is_quoted_on_one_short_line() -> None:
    found = from_status(502, {}, b"<html></p>" + b"<p>word\n" * 1_000_000)
    assert len(found.message) <= 200
    assert "\n" not in found.message


@pytest.mark.parametrize("page", PAGES)
def test_a_page_with_a_200_is_no_answer(page: str) -> None:
    with pytest.raises(InvalidResponseError) as raised:
        read_json(page.encode())
    assert raised.value.message == f"the answer cannot be read: a web page: {PAGES[page]}"
    assert raised.value.retryable
    with pytest.raises(InvalidResponseError) as raised:
        read_answer(page.encode(), 200, {})
    assert raised.value.message == f"the answer is no completion: a web page: {PAGES[page]}"
    assert raised.value.retryable


@given(st.text(alphabet="<>/title script\n&;", max_size=200))
def test_no_page_can_break_a_run(text: str) -> None:
    assert isinstance(is_page(text), bool)
    assert "\n" not in page_words(text)
    assert from_status(502, {}, text.encode()).error_type == "InternalServerError"
