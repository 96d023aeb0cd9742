from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_eval_so.runner.config.secrets import (
    MASK,
    Redactor,
    public_options,
    secrets_in,
    without_userinfo,
)
from lm_eval_so.runner.models import RunConfig, RunError

KEY = "sk-0123456789abcdef"
PASSWORD = "hunter2-and-more"  # noqa: S105 - nobody's


def options(**given: Any) -> dict[str, Any]:  # noqa: ANN401 - any option
    """Backend options as a run holds them: secrets concealed."""
    return RunConfig(backend="b", model="m", backend_options=given).backend_options


def failure(message: str, **details: object) -> RunError:
    return RunError(
        error_type="AuthenticationError",
        message=message,
        status_code=401,
        retryable=False,
        details=details or None,
    )


@pytest.mark.parametrize(
    "name",
    ["api_key", "apikey", "API_KEY", "password", "client_secret", "access_token", "X-Api-Key",
     "Authorization", "Cookie"],
)  # fmt: skip
def test_a_secret_is_in_no_public_options(name: str) -> None:
    held = options(**{name: KEY, "default_headers": {name: KEY, "X-Team": "qa"}})
    assert public_options(held) == {"default_headers": {"X-Team": "qa"}}


def test_options_that_are_no_secret_stay_as_they_are() -> None:
    held = {
        "api_key_env": "MY_KEY",
        "seed": 0,
        "ratio": 0.5,
        "text": None,
        "nested": {"max_tokens": 256, "stop": ["a"]},
        "on": False,
    }
    assert public_options(options(**held)) == held


def test_the_password_of_a_url_is_in_no_public_options() -> None:
    held = options(base_url=f"https://kim:{PASSWORD}@host/v1", more={"url": f"http://{KEY}@h"})
    assert public_options(held) == {"base_url": "https://host/v1", "more": {"url": "http://h"}}


def test_a_secret_in_a_list_is_in_no_public_options() -> None:
    held = options(servers=[{"api_key": KEY}, f"https://kim:{PASSWORD}@host/v1"])
    public = repr(public_options(held))
    assert KEY not in public
    assert PASSWORD not in public


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:word@host/v1", "https://host/v1"),
        ("https://token@host:8000/v1?a=b#c", "https://host:8000/v1?a=b#c"),
        ("https://a:b@c@host/", "https://host/"),
        ("https://user:word@[::1]:80/v1", "https://[::1]:80/v1"),
    ],
)
def test_a_url_is_shown_without_user_and_password(url: str, shown: str) -> None:
    assert without_userinfo(url) == shown


@pytest.mark.parametrize(
    "text",
    [
        "",
        "https://host/v1",
        "https://host/@kim",
        "kim@host",
        "write to kim@host or see https://host",
        "write to kim@host\nor see https://host",
    ],
)
def test_text_without_userinfo_stays_as_it_is(text: str) -> None:
    assert without_userinfo(text) == text


def test_every_secret_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "from-the-environment")
    held = options(
        api_key=KEY,
        api_key_env="MY_KEY",
        base_url=f"https://kim:{PASSWORD}@host/v1",
        default_headers={"Authorization": "Bearer 0123456789", "X-Team": "qa"},
        seed=0,
    )
    assert set(secrets_in(held)) == {
        KEY,
        "from-the-environment",
        PASSWORD,
        "Bearer 0123456789",
        "0123456789",
    }


def test_a_secret_in_a_list_is_found() -> None:
    assert KEY in set(secrets_in(options(servers=[{"api_key": KEY}])))


def test_a_mapping_with_numbers_as_keys_holds_no_secret() -> None:
    held = options(request_defaults={"logit_bias": {50256: -100}})
    assert list(secrets_in(held)) == []


def test_a_variable_that_is_not_set_hides_nothing() -> None:
    redactor = Redactor(secrets_in(options(api_key_env="NOT_SET", other_env=None)))
    assert redactor.text("any text at all") == "any text at all"


def test_a_secret_is_masked_wherever_it_stands() -> None:
    redactor = Redactor([KEY, PASSWORD])
    assert redactor.text(f"{KEY}: wrong, {PASSWORD}{KEY}") == f"{MASK}: wrong, {MASK}{MASK}"


def test_of_two_secrets_the_longer_is_masked_first() -> None:
    redactor = Redactor(["0123456789", "Bearer 0123456789", "01234"])
    assert redactor.text("sent: Bearer 0123456789") == f"sent: {MASK}"


@pytest.mark.parametrize(
    ("secret", "in_text", "in_records"),
    [
        pytest.param("", False, False, id="empty"),
        pytest.param("abc", False, False, id="too-short-to-be-one"),
        pytest.param("test", True, False, id="a-word-an-answer-may-hold"),
        pytest.param("ollama7", True, False, id="seven"),
        pytest.param("ollama78", True, True, id="eight"),
    ],
)
def test_a_short_secret_is_not_cut_out_of_answers(
    secret: str, *, in_text: bool, in_records: bool
) -> None:
    redactor, line = Redactor([secret]), f'{{"text":"this is a {secret} of it"}}'
    assert (MASK in redactor.text(line)) is in_text
    assert (MASK.encode() in redactor.record(line.encode())) is in_records


@pytest.mark.parametrize(
    "secret",
    [KEY, 'quoted"word', "back\\slash", "tab\tbed-word", "암호-열쇠-여덟글자", "a/b+c=d/e"],
    ids=["plain", "quote", "backslash", "tab", "unicode", "base64"],
)
def test_neither_records_nor_errors_show_a_secret(secret: str) -> None:
    redactor = Redactor([secret])
    error = failure(f"key {secret} is wrong", body={"echo": [secret]}, code=7)
    masked = failure(f"key {MASK} is wrong", body={"echo": [MASK]}, code=7)
    assert redactor.error(error) == masked
    line = orjson.dumps({"echo": secret, "n": 1})
    assert orjson.loads(redactor.record(line)) == {"echo": MASK, "n": 1}


@pytest.mark.parametrize("secret", ["message", "false", "null", "Authentication"])
def test_a_secret_that_is_a_word_of_the_format_breaks_no_error(secret: str) -> None:
    error = failure(f"key {secret} is wrong")
    assert Redactor([secret]).error(error) == failure(f"key {MASK} is wrong")


def test_without_secrets_nothing_changes() -> None:
    error = failure("no", body="x")
    assert Redactor().error(error) == error
    assert Redactor().record(b"line") == b"line"


@given(st.text(min_size=8), st.text(), st.text())
def test_no_record_holds_a_secret(secret: str, before: str, after: str) -> None:
    line = orjson.dumps({"text": before + secret + after})
    left = orjson.loads(Redactor([secret]).record(line))["text"]
    assert left == (before + secret + after).replace(secret, MASK)
