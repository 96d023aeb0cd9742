from __future__ import annotations

from typing import Any

import pytest

from lm_eval_so.runner.masking.options import (
    identity_options,
    public_options,
    secrets_in,
    shown,
    with_plain_headers,
)
from lm_eval_so.runner.masking.redactor import Redactor
from lm_eval_so.runner.masking.values import public_address, without_userinfo
from lm_eval_so.runner.models import RunConfig

KEY = "sk-0123456789abcdef"
PASSWORD = "hunter2-and-more"  # noqa: S105 - nobody's


def options(**given: Any) -> dict[str, Any]:  # noqa: ANN401 - any option
    """Backend options as a run holds them: secrets concealed."""
    return RunConfig(backend="b", model="m", backend_options=given).backend_options


@pytest.mark.parametrize(
    "name",
    ["api_key", "apikey", "API_KEY", "password", "client_secret", "access_token", "X-Api-Key",
     "Authorization", "Cookie"],
)  # fmt: skip
def test_a_secret_is_in_no_public_options(name: str) -> None:
    held = options(**{name: KEY, "default_headers": {name: KEY, "X-Team": "qa"}})
    assert public_options(held) == {"default_headers": {name: "***", "X-Team": "***"}}
    assert identity_options(held) == {"default_headers": {}}
    assert identity_options(with_plain_headers(held)) == {"default_headers": {"X-Team": "qa"}}


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
        "qa",
    }


def test_a_secret_in_a_list_is_found() -> None:
    assert KEY in set(secrets_in(options(servers=[{"api_key": KEY}])))


def test_a_mapping_with_numbers_as_keys_holds_no_secret() -> None:
    held = options(request_defaults={"logit_bias": {50256: -100}})
    assert list(secrets_in(held)) == []


def test_a_variable_that_is_not_set_hides_nothing() -> None:
    redactor = Redactor(secrets_in(options(api_key_env="NOT_SET", other_env=None)))
    assert redactor.text("any text at all") == "any text at all"


@pytest.mark.parametrize("name", ["api_key", "token", "X-Api-Key"])
@pytest.mark.parametrize("value", [123456789012, 1.5])
def test_a_number_may_be_a_secret(name: str, value: float) -> None:
    held = options(**{name: value, "default_headers": {"X-Any": value}})
    assert public_options(held) == {"default_headers": {"X-Any": "***"}}
    assert str(value) in set(secrets_in(held))
    assert str(value) not in repr(held)


def test_words_of_a_tokenizer_are_no_secrets() -> None:
    held = {"request_defaults": {"eos_token": "</s>", "prompt_cache_key": "a", "max_tokens": 2}}
    assert options(**held) == public_options(held) == identity_options(held) == held


@pytest.mark.parametrize(
    "key", ["sk-proj-0123456789", KEY, "0123456789abcdef", "gsk_abcdef0123456789"]
)
def test_a_key_in_the_place_of_its_variable_s_name_is_not_shown(key: str) -> None:
    assert public_options({"api_key_env": key}) == {"api_key_env": "***"}


@pytest.mark.parametrize("name", ["OPENAI_API_KEY", "my_key", "MY_KEY_2_OF_2024", "key2"])
def test_a_variable_s_name_is_shown(name: str) -> None:
    assert public_options({"api_key_env": name}) == {"api_key_env": name}


def test_a_config_is_shown_without_what_its_names_tell_to_be_secret() -> None:
    held = {
        "api_key": KEY,
        "note": "mine",
        "deep": [{"token": 12}, {"extra_headers": {"X-A": "b"}}],
        "extra_query": {"code": "c", "api-version": "1"},
        "at": "https://kim:word@host/?sig=abc&a=b",
        "password": None,
    }
    assert shown(held) == {
        "api_key": "***",
        "note": "mine",
        "deep": [{"token": "***"}, {"extra_headers": {"X-A": "***"}}],
        "extra_query": {"code": "***", "api-version": "1"},
        "at": "https://host/?sig=***&a=b",
        "password": None,
    }


@pytest.mark.parametrize("name", ["api-key", "api_key", "API%2DKEY", "code", "sig", "access_token"])
def test_a_secret_in_the_query_of_an_address_is_not_shown(name: str) -> None:
    assert (
        public_address(f"see https://h/v1?a=b&{name}=x#c") == f"see https://h/v1?a=b&{name}=***#c"
    )
