from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_eval_so.runner.masking.redactor import Redactor
from lm_eval_so.runner.masking.values import MASK, looks_like_key, secrets_in_environment

KEY = "sk-0123456789abcdef"
PASSWORD = "hunter2-and-more"  # noqa: S105 - nobody's


def line(**response: object) -> bytes:
    return orjson.dumps({"sample_id": KEY, "request_messages": [KEY], "response": response})


def test_a_secret_is_masked_wherever_it_stands() -> None:
    redactor = Redactor([KEY, PASSWORD])
    assert redactor.text(f"{KEY}: wrong, {PASSWORD}{KEY}") == f"{MASK}: wrong, {MASK}{MASK}"


def test_of_two_secrets_the_longer_is_masked_first() -> None:
    redactor = Redactor(["0123456789", "Bearer 0123456789", "01234"])
    assert redactor.text("sent: Bearer 0123456789") == f"sent: {MASK}"


@pytest.mark.parametrize(
    ("secret", "in_text", "in_data"),
    [
        pytest.param("", False, False, id="empty"),
        pytest.param("abc", False, False, id="too-short-to-be-one"),
        pytest.param("test", True, False, id="a-word-an-answer-may-hold"),
        pytest.param("anything-goes-here", True, False, id="long-words"),
        pytest.param("ollama12345", True, False, id="eleven"),
        pytest.param("ollama123456", True, True, id="twelve"),
        pytest.param("two words 123", True, False, id="with-a-space"),
    ],
)
def test_only_what_looks_like_a_key_is_cut_out_of_data(
    secret: str, *, in_text: bool, in_data: bool
) -> None:
    redactor, text = Redactor([secret]), f"this is a {secret} of it"
    assert (MASK in redactor.text(text)) is in_text
    assert (MASK in redactor.own_text(text)) is in_data
    assert redactor.data({secret: [text, 1]}) == (
        {MASK: [f"this is a {MASK} of it", 1]} if in_data else {secret: [text, 1]}
    )
    assert looks_like_key(secret) is in_data


@pytest.mark.parametrize(
    "secret",
    [
        KEY,
        'quoted"word12',
        "back\\slash-1",
        "tab\\tbed-word1",
        "암호-열쇠-여덟글자-12",
        "a/b+c=d/e=12",
    ],
    ids=["plain", "quote", "backslash", "tab", "unicode", "base64"],
)
def test_neither_answers_nor_errors_show_a_secret(secret: str) -> None:
    redactor = Redactor([secret])
    assert redactor.details({"echo": [secret], "n": 1}) == {"echo": [MASK], "n": 1}
    assert orjson.loads(redactor.line(line(echo=secret, n=1)))["response"] == {"echo": MASK, "n": 1}


def test_ids_and_questions_are_data_whatever_the_key_is() -> None:
    kept = orjson.loads(Redactor([KEY]).line(line(text=KEY)))
    assert kept == {"sample_id": KEY, "request_messages": [KEY], "response": {"text": MASK}}


def test_a_line_without_a_secret_is_not_even_read() -> None:
    assert Redactor([PASSWORD]).line(b"line") == b"line"


@pytest.mark.parametrize("length", range(12, len(KEY) + 1))
def test_the_beginning_of_a_key_that_was_cut_is_masked(length: int) -> None:
    assert Redactor([KEY]).text(f"your key {KEY[:length]}") == f"your key {MASK}"
    assert Redactor([KEY]).text(f"your key {KEY[:length]}...") == f"your key {MASK}..."


@pytest.mark.parametrize("form", ["a%2Fb%2Bc%3D0123456789", "a/b+c=0123456789"])
def test_a_secret_in_an_address_is_masked(form: str) -> None:
    assert Redactor(["a/b+c=0123456789"]).text(f"GET /v1?key={form} failed") == (
        f"GET /v1?key={MASK} failed"
    )


@pytest.mark.parametrize(
    "text",
    [
        "Incorrect API key provided: sk-proj-0123456789abcdef",
        "sent Authorization: Bearer 0123456789abcdef",
        "http://me:word@host:1/ is away",
    ],
)
def test_a_key_that_nobody_told_of_is_known_by_its_look(text: str) -> None:
    shown = Redactor().text(text)
    assert not any(word in shown for word in ("0123456789", "word@"))


def test_without_secrets_nothing_changes() -> None:
    assert Redactor().text("Basic authentication is off") == "Basic authentication is off"
    assert Redactor().line(b"line") == b"line"
    assert Redactor().details({"a": None}) == Redactor().data({"a": None}) == {"a": None}


def test_the_working_directory_of_a_shell_is_no_password() -> None:
    environment = {"PWD": "/home/me/experiments-2026", "DATABASE_PWD": f"{PASSWORD}-1"}
    assert list(secrets_in_environment(environment)) == [f"{PASSWORD}-1"]


@given(st.text(min_size=8), st.text(), st.text())
def test_no_answer_holds_a_secret(word: str, before: str, after: str) -> None:
    secret = f"{word}0123456789".replace(" ", "")
    left = orjson.loads(Redactor([secret]).line(line(text=before + secret + after)))
    assert not looks_like_key(secret) or secret not in left["response"]["text"]
