from __future__ import annotations

import pytest

from lm_eval_so.runner.config.secrets import (
    Redactor,
    public_options,
    secrets_in,
    without_userinfo,
)
from lm_eval_so.runner.models import RunConfig, RunError, is_secret_name

KEY = "sk-0123456789"


@pytest.mark.parametrize(
    "name",
    ["api_key", "API-Key", "apikey", "password", "X-Authorization", "auth", "session_token",
     "Cookie", "client_secret", "azure_credentials"],
)  # fmt: skip
def test_names_of_secrets_are_known(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize("name", ["api_key_env", "max_tokens", "author", "base_url", "X-Team"])
def test_other_names_are_let_alone(name: str) -> None:
    assert not is_secret_name(name)


def options(**given: object) -> RunConfig:
    return RunConfig(backend="b", model="m", backend_options=dict(given))


def test_a_secret_is_concealed_as_soon_as_it_is_in_a_config() -> None:
    config = options(api_key=KEY, default_headers={"Authorization": f"Bearer {KEY}", "X": "y"})
    assert KEY not in repr(config)
    assert KEY not in config.model_dump_json()
    assert public_options(config.backend_options) == {"default_headers": {"X": "y"}}
    assert set(secrets_in(config.backend_options)) == {KEY, f"Bearer {KEY}"}


def test_a_named_variable_and_a_password_in_an_address_are_secrets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MINE", KEY)
    config = options(api_key_env="MINE", base_url="https://me:pass-word@host/v1")
    assert set(secrets_in(config.backend_options)) == {KEY, "pass-word"}
    assert public_options(config.backend_options)["base_url"] == "https://host/v1"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://host:8000/v1?x=1", "https://host:8000/v1?x=1"),
        ("https://me:p@ss@host:8000/v1", "https://host:8000/v1"),
        ("me@example.com", "me@example.com"),
    ],
)
def test_an_address_is_shown_without_who_asks(url: str, shown: str) -> None:
    assert without_userinfo(url) == shown


def test_every_secret_is_taken_out_of_texts_and_errors() -> None:
    redactor = Redactor([KEY, "hunter2", f"{KEY}-longer"])
    assert redactor.text(f"{KEY}-longer, {KEY} and hunter2") == "***, *** and ***"
    error = RunError(error_type="X", message=KEY, retryable=False, details={"a": [KEY]})
    assert KEY not in redactor.error(error).model_dump_json()


def test_a_secret_with_quotes_is_found_in_a_json_line() -> None:
    word = 'pass"word\\9'
    assert Redactor([word]).record(b'{"a":"pass\\"word\\\\9"}') == b'{"a":"***"}'


def test_a_short_key_does_not_cut_holes_into_answers() -> None:
    line = b'{"text":"the test of ollama"}'
    assert Redactor(["test", "ollama", "", "a"]).record(line) == line
