"""Each variable with each bad value: one sentence that names it, or it works."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from lm_eval_so.runner.backends.openai.backend import OpenAIBackend
from lm_eval_so.runner.backends.openai.environment import read_account
from lm_eval_so.runner.backends.openai.options import OpenAIOptions
from lm_eval_so.runner.errors import BackendSetupError, ConfigError, LmEvalError
from lm_eval_so.runner.models import RunConfig, TestSample
from support.requests import request_of

if TYPE_CHECKING:
    from pathlib import Path

    from support.fake_openai import FakeOpenAI

KEY = "sk-fake-0123456789"
SECRET = "hunter2-hunter2"  # noqa: S105 - of nobody
TEXTS = ["OPENAI_ORG_ID", "OPENAI_PROJECT_ID"]


def asked(environ: dict[str, str], **options: object) -> OpenAIBackend:
    config = RunConfig(backend="openai", model="m", backend_options=options)
    return OpenAIBackend(config, environ)


def read(environ: dict[str, str], **options: object) -> str:
    """The sentence that reading ends with."""
    with pytest.raises(LmEvalError) as raised:
        asked(environ, **options)
    sentence = str(raised.value)
    assert "\n" not in sentence
    assert SECRET not in sentence
    return sentence


def ask(**options: object) -> None:
    asked = OpenAIBackend(RunConfig(backend="openai", model="m", backend_options=options))
    sample = TestSample.model_validate({"id": "s", "messages": [{"role": "user", "content": "q"}]})

    async def main() -> None:
        async with asked:
            await asked.send(request_of(sample, 0, asked.config, "key", "trace"))

    asyncio.run(main())


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1:8000/v1",
        f"user:{SECRET}@127.0.0.1:8000/v1",
        '"http://127.0.0.1:8000/v1"',
        "http://127.0.0.1:99999/v1",
        "http://[::1/v1",
        "http://a..b:8000/v1",
        "http://127.0.0.1 :8000/v1",
        "http://127.0.0.1:8000/v1\r\nX-Evil: 1",
        f"127.0.0.1/v1?key={SECRET}",
    ],
)
def test_a_wrong_address_names_its_variable(address: str) -> None:
    sentence = read({"OPENAI_BASE_URL": address, "OPENAI_API_KEY": KEY})
    assert sentence.startswith("the variable OPENAI_BASE_URL ")


@pytest.mark.parametrize("variable", [*TEXTS, "OPENAI_API_KEY", "MY_KEY", "OPENAI_CUSTOM_HEADERS"])
@pytest.mark.parametrize(
    "value", [f"{SECRET}\rx", f"{SECRET}\x00", f"{SECRET}팀", f"caf\xe9{SECRET}"]
)
def test_what_no_header_can_hold_names_its_variable(variable: str, value: str) -> None:
    if variable == "OPENAI_CUSTOM_HEADERS":
        value = f"X-Team: {value}"
    options = {"api_key_env": "MY_KEY"} if variable == "MY_KEY" else {}
    sentence = read({"OPENAI_API_KEY": KEY, variable: value}, **options)
    assert f"the variable {variable} " in sentence


@pytest.mark.parametrize("option", ["organization", "project", "api_key"])
def test_what_no_header_can_hold_names_its_option(option: str) -> None:
    options = {"api_key": KEY, option: f"{SECRET}\nx"}
    assert f"backend.options.{option} " in read({}, **options)


@pytest.mark.parametrize("value", ["a\nb", "\ud300", "a\x00b"])
def test_a_wrong_header_names_its_option(value: str) -> None:
    sentence = read({}, api_key=KEY, default_headers={"X-Team": f"{SECRET}{value}"})
    assert sentence.startswith("backend.options.default_headers['X-Team'] holds")


def test_no_key_says_which_variable_to_set() -> None:
    assert "set the variable OPENAI_API_KEY" in read({"OPENAI_API_KEY": " \r"})


@pytest.mark.parametrize("end", ["", "\r", "\r\n", " ", "\t"])
def test_white_space_around_a_value_means_nothing(
    end: str, server: FakeOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", f" {server.base_url}{end}")
    monkeypatch.setenv("OPENAI_API_KEY", f"{KEY}{end}")
    monkeypatch.setenv("OPENAI_ORG_ID", f"org-1{end}")
    monkeypatch.setenv("OPENAI_PROJECT_ID", end)
    ask()
    (received,) = server.requests
    headers = {name.lower(): value for name, value in received.headers.items()}
    assert headers["authorization"] == f"Bearer {KEY}"
    assert headers["openai-organization"] == "org-1"
    assert "openai-project" not in headers


def test_an_option_wins_over_its_variable_however_wrong_that_is(
    server: FakeOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ["OPENAI_BASE_URL", "OPENAI_API_KEY", *TEXTS]:
        monkeypatch.setenv(variable, "\u200b\rno")
    ask(base_url=server.base_url, api_key=KEY, organization="o", project="p")
    assert len(server.requests) == 1


def test_headers_of_the_variable_are_sent_and_options_win(
    server: FakeOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "x-team: theirs\r\nX-More: 1")
    ask(base_url=server.base_url, api_key=KEY, default_headers={"X-Team": "ours"})
    headers = {name.lower(): value for name, value in server.requests[0].headers.items()}
    assert (headers["x-team"], headers["x-more"]) == ("ours", "1")


def test_netrc_is_not_read(
    server: FakeOpenAI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login theirs password theirs\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    ask(base_url=server.base_url, api_key=KEY)
    assert server.requests[0].headers["Authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("proxy", ["socks://127.0.0.1:9/", "socks5h://127.0.0.1:9", "no proxy"])
def test_a_proxy_that_no_request_needs_does_not_matter(
    proxy: str, server: FakeOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    monkeypatch.setenv("NO_PROXY", "localhost,127.0.0.1")
    ask(base_url=server.base_url, api_key=KEY)
    ask(base_url=server.base_url, api_key=KEY, request_defaults={"stream": True})
    assert len(server.requests) == 2


def test_the_environment_given_is_the_only_one_that_counts(
    server: FakeOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("OPENAI_ORG_ID", "org\x01x")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Team: a\x01b")
    options = {"base_url": server.base_url, "api_key": KEY}
    config = RunConfig(backend="openai", model="m", backend_options=options)
    with pytest.raises(BackendSetupError):
        OpenAIBackend(config)
    asked = OpenAIBackend(config, environ={})
    sample = TestSample.model_validate({"id": "s", "messages": [{"role": "user", "content": "q"}]})

    async def main() -> None:
        async with asked:
            await asked.send(request_of(sample, 0, asked.config, "key", "trace"))

    asyncio.run(main())
    names = {name.lower() for name in server.requests[0].headers}
    assert not names & {"openai-organization", "x-team"}


def test_a_wrong_option_is_a_config_error() -> None:
    config = RunConfig(
        backend="openai", model="m", backend_options={"api_key": KEY, "base_url": "host/v1"}
    )
    with pytest.raises(ConfigError, match=r"backend\.options\.base_url: must start with http"):
        OpenAIBackend(config)


@pytest.mark.parametrize("value", [f"sk-{SECRET}", "", "a b", "=x"])
def test_a_key_in_the_place_of_its_variables_name_is_not_repeated(value: str) -> None:
    config = RunConfig(backend="openai", model="m", backend_options={"api_key_env": value})
    with pytest.raises(ConfigError, match="must be the name of an environment variable") as raised:
        OpenAIBackend(config)
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize(
    ("key", "why"),
    [
        (f'"{KEY}"', "stands in quotes: leave them out"),
        (f"'{KEY}", "stands in quotes: leave them out"),
        (f"Bearer {KEY}", "begins with 'Bearer', which is added to it: leave that out"),
        (f"bearer {KEY}", "begins with 'Bearer', which is added to it: leave that out"),
    ],
)
def test_a_key_that_was_copied_with_more_is_told(key: str, why: str) -> None:
    assert read({"OPENAI_API_KEY": key}) == f"the API key in the variable OPENAI_API_KEY {why}"
    assert read({}, api_key=key) == f"the API key in backend.options.api_key {why}"


@pytest.mark.parametrize("key", ["no key needed", "none", "a"])
def test_any_text_is_a_key_for_a_server_that_asks_for_none(key: str) -> None:
    assert read_account(OpenAIOptions(), {"OPENAI_API_KEY": key}).credential == key


def test_a_file_for_tls_keys_that_cannot_be_written_names_its_variable(tmp_path: Path) -> None:
    environ = {"OPENAI_API_KEY": KEY, "SSLKEYLOGFILE": str(tmp_path / "none" / "keys")}
    sentence = read(environ, base_url="http://127.0.0.1:1/v1")
    assert sentence.startswith("the variable SSLKEYLOGFILE names ")
    assert sentence.endswith("which cannot be written: No such file or directory")
    environ["SSLKEYLOGFILE"] = str(tmp_path / "keys")
    assert asked(environ).secrets == [KEY]


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/chat/completions/"])
def test_an_address_with_the_path_in_it_is_a_sentence(path: str) -> None:
    address = f"http://127.0.0.1:1{path}"
    sentence = read({"OPENAI_BASE_URL": address, "OPENAI_API_KEY": KEY})
    assert sentence.startswith("the variable OPENAI_BASE_URL must end before /chat/completions")
