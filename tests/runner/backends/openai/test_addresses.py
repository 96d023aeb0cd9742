"""What of an address is sent, what names the endpoint, and what is written."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from lm_eval_so.runner.backends.openai.backend import OpenAIBackend
from lm_eval_so.runner.backends.wires.models import model_names
from lm_eval_so.runner.errors import AuthenticationError, ConfigError
from lm_eval_so.runner.models import RunConfig, TestSample
from support.fake_openai import Reply
from support.requests import request_of

if TYPE_CHECKING:
    from support.fake_openai import FakeOpenAI, Received

KEY = "sk-fake-0123456789"


def backend(address: str, **options: object) -> OpenAIBackend:
    given = {"base_url": address, "api_key": KEY, **options}
    given = {name: value for name, value in given.items() if value is not None}
    return OpenAIBackend(RunConfig(backend="openai", model="m", backend_options=given))


def ask(asked: OpenAIBackend) -> None:
    sample = TestSample.model_validate({"id": "s", "messages": [{"role": "user", "content": "q"}]})

    async def main() -> None:
        async with asked:
            await asked.send(request_of(sample, 0, asked.config, "key", "trace"))

    asyncio.run(main())


def received(server: FakeOpenAI) -> Received:
    (only,) = server.requests
    return only


PATH = "/v1/chat/completions"


@pytest.mark.parametrize(
    ("query", "default_query", "sent"),
    [
        ("", {}, ""),
        ("?", {}, ""),
        ("?api-version=2024-10-21", {}, "?api-version=2024-10-21"),
        ("", {"api-version": "2024-10-21"}, "?api-version=2024-10-21"),
        ("?a=1", {"b": 2, "c": True, "d": None}, "?a=1&b=2&c=true"),
        ("?a=1&b=1", {"a": 2}, "?b=1&a=2"),
        ("?a=1&a=2", {}, "?a=1&a=2"),
        ("?a=", {}, "?a="),
        ("?sig=x%2By%3D", {}, "?sig=x%2By%3D"),
        ("", {"q": "a b&c=d/한"}, "?q=a+b%26c%3Dd%2F%ED%95%9C"),
    ],
)
def test_a_query_stays_a_query(
    query: str, default_query: dict[str, object], sent: str, server: FakeOpenAI
) -> None:
    ask(backend(f"{server.base_url}{query}", default_query=default_query))
    assert received(server).path.replace("%3D", "=").replace("%2F", "/") == (
        f"{PATH}{sent}".replace("%3D", "=").replace("%2F", "/")
    )


def test_a_query_and_its_option_are_one_endpoint() -> None:
    by_address = backend("https://x/v1/?b=2&api-version=2024")
    by_option = backend("https://x/v1", default_query={"api-version": "2024", "b": "2"})
    assert by_address.endpoint == by_option.endpoint == "https://x/v1?api-version=2024&b=2"
    assert by_address.identity_options == by_option.identity_options


def test_another_version_is_another_endpoint() -> None:
    assert backend("https://x/v1?v=1").endpoint != backend("https://x/v1?v=2").endpoint


@pytest.mark.parametrize(
    "name", ["key", "api-key", "subscription-key", "access_token", "sig", "code", "Signature"]
)
def test_a_key_in_a_query_names_no_endpoint_and_is_a_secret(name: str) -> None:
    for asked in (
        backend(f"https://x/v1?v=1&{name}=hunter2-hunter2"),
        backend("https://x/v1?v=1", default_query={name: "hunter2-hunter2"}),
    ):
        assert asked.endpoint == "https://x/v1?v=1"
        assert "hunter2-hunter2" in asked.secrets
        assert "hunter2" not in str(asked.identity_options)


def test_an_address_without_a_query_is_the_endpoint_it_was() -> None:
    assert backend("https://x/v1/").endpoint == "https://x/v1"
    assert "default_query" not in backend("https://x/v1").identity_options


@pytest.mark.parametrize("value", [{"a": [1]}, {"a": {"b": 1}}, "a=b"])
def test_a_query_is_a_mapping_of_plain_values(value: object) -> None:
    with pytest.raises(ConfigError, match=r"backend\.options\.default_query"):
        backend("https://x/v1", default_query=value)


@pytest.mark.parametrize("key", [KEY, None], ids=["with-a-key", "without"])
def test_a_user_name_in_the_address_is_sent_in_place_of_the_key(
    key: str | None, server: FakeOpenAI
) -> None:
    address = server.base_url.replace("//", "//us%40er:p%3Ass-p%3Ass@")
    asked = backend(address, api_key=key)
    ask(asked)
    assert received(server).headers["Authorization"] == "Basic dXNAZXI6cDpzcy1wOnNz"
    assert asked.endpoint == server.base_url
    assert {"p:ss-p:ss", "dXNAZXI6cDpzcy1wOnNz"} <= set(asked.secrets)


def test_a_header_of_the_config_wins_over_a_user_name(server: FakeOpenAI) -> None:
    address = server.base_url.replace("//", "//user:pass@")
    ask(backend(address, default_headers={"authorization": "Bearer mine-0123456"}))
    assert received(server).headers["Authorization"] == "Bearer mine-0123456"


def test_a_wrong_user_name_is_blamed_and_no_key(server: FakeOpenAI) -> None:
    asked = backend(server.base_url.replace("//", "//user:pass@"))
    remedy = asyncio.run(asked.remedy(AuthenticationError("no", status_code=401)))
    assert remedy.startswith("check the user name and the password")


def test_other_accounts_at_one_address_have_limits_of_their_own() -> None:
    one, two = backend("https://a:b@x/v1"), backend("https://a:c@x/v1")
    assert one.limit_scope != two.limit_scope
    assert one.endpoint == two.endpoint


def test_the_models_there_are_are_looked_up_with_the_query(server: FakeOpenAI) -> None:
    asked = backend(f"{server.base_url}?api-version=1")

    async def main() -> list[str]:
        async with asked:
            return await model_names(asked._transport)

    assert asyncio.run(main()) == server.models


def test_answers_with_as_many_and_as_long_headers_as_gateways_send(server: FakeOpenAI) -> None:
    many = {f"X-Header-{n}": "x" * 20 for n in range(300)}
    cookie = {"Set-Cookie": f"session={'c' * 60_000}"}
    server.behave = lambda _received, _nth: Reply(headers={**many, **cookie})
    ask(backend(server.base_url))
    assert len(server.requests) == 1
