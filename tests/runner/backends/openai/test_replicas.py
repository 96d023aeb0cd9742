"""Which servers and accounts the options name, and what identifies them."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from lm_eval_so.runner.backends.openai.backend import OpenAIBackend
from lm_eval_so.runner.backends.openai.replicas import system_text
from lm_eval_so.runner.errors import AuthenticationError, BackendSetupError, ConfigError
from lm_eval_so.runner.models import RunConfig

ENV = {"OPENAI_API_KEY": "sk-fake-key-0123456789"}


def backend(environ: dict[str, str] | None = None, **options: Any) -> OpenAIBackend:  # noqa: ANN401 - any option
    config = RunConfig(backend="openai", model="m", backend_options=options)
    return OpenAIBackend(config, environ=ENV if environ is None else environ)


def test_the_order_of_addresses_makes_no_other_run() -> None:
    one, other = "http://a:1/v1", "http://b:1/v1"
    assert backend(base_url=[one, other]).endpoint == backend(base_url=[other, one]).endpoint
    assert backend(base_url=[one]).endpoint == backend(base_url=one).endpoint == one
    assert backend(base_url=[one, other]).endpoint != one
    names = backend(base_url=[one, other], endpoint_name="x", affinity="prefix")
    assert (names.endpoint, names.identity_options) == ("x", backend().identity_options)


def test_a_pool_and_a_name_have_the_path_of_another_wire() -> None:
    one, other = "http://a:1/v1", "http://b:1/v1?v=1"
    pool = backend(base_url=[other, one], wire="responses")
    assert pool.endpoint == "http://a:1/v1/responses http://b:1/v1/responses?v=1"
    for address in (one, other):
        named = backend(base_url="http://c:1/v1", endpoint_name=address, wire="responses")
        assert named.endpoint == backend(base_url=address, wire="responses").endpoint
        assert backend(endpoint_name=address).endpoint == address


def test_each_server_gets_its_key_in_the_header_that_is_named() -> None:
    environ = {"A": "sk-a-0123456789", "B": "sk-b-0123456789"}
    addresses = ["http://a:1/v1", "http://me:password-99@b:1/v1"]
    found = backend(environ, base_url=addresses, api_key_env=["A", "B"], api_key_header="api-key")
    assert [one.account.key_header for one in found._replicas] == ["api-key", None]
    assert "password-99" in found.secrets


def test_a_named_server_shares_the_limits_of_its_address() -> None:
    plain, named = (
        backend(base_url="http://a:1/v1"),
        backend(base_url="http://a:1/v1", endpoint_name="x"),
    )
    assert plain.limit_scope == named.limit_scope
    assert named.address == "http://a:1/v1"


def test_each_address_may_have_a_key_of_its_own() -> None:
    environ = {"A": "sk-a-0123456789", "B": "sk-b-0123456789"}
    found = backend(environ, base_url=["http://a:1/v1", "http://b:1/v1"], api_key_env=["A", "B"])
    assert [one.account.credential for one in found._replicas] == list(environ.values())
    assert set(environ.values()) <= set(found.secrets)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"base_url": []}, "base_url"),
        ({"base_url": "[http://a/v1,http://b/v1?x=1]"}, "put double quotes around each address"),
        ({"base_url": ["http://a/v1", "a:8000"]}, "must start with http://"),
        ({"base_url": ["http://a/v1", "http://a/v1"]}, "stands twice"),
        (
            {"base_url": ["http://a/v1", "http://b/v1"], "api_key_env": ["A", "B", "C"]},
            "base_url has 2 addresses, and api_key_env 3 names",
        ),
        ({"api_key": "k", "api_key_env": ["A", "B"]}, "api_key is one key"),
        ({"base_url": ["https://n.openai.azure.com//openai/v1/responses"]}, "/responses"),
        ({"endpoint_name": " "}, "endpoint_name: must be a name"),
        ({"endpoint_name": "http://me:pass-word-99@a/v1"}, "endpoint_name: must be a name"),
        ({"affinity": "hash"}, "affinity"),
    ],
)
def test_what_cannot_be_a_pool_is_told(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        backend(**options)
    assert message in str(raised.value)
    assert "pass-word-99" not in str(raised.value)


def test_a_missing_key_names_its_variable() -> None:
    with pytest.raises(BackendSetupError, match="set the variable B "):
        backend({"A": "sk-a-0123456789"}, base_url="http://a/v1", api_key_env=["A", "B"])


async def remedy_of(found: OpenAIBackend, served_by: str | None) -> str:
    error = AuthenticationError("no", status_code=401)
    error.served_by = served_by
    return await found.remedy(error)


def test_the_remedy_names_the_key_of_the_server_that_refused() -> None:
    environ = {"A": "sk-a-0123456789", "B": "sk-b-0123456789"}
    found = backend(environ, base_url="http://a/v1", api_key_env=["A", "B"])
    told = asyncio.run(remedy_of(found, "http://a/v1 (B)"))
    assert told == "check the key in the variable B and its account"
    nobody = asyncio.run(remedy_of(found, None))
    assert nobody == "check the key in the variable A and B and its account"


def test_the_prefix_is_what_stands_before_the_first_question() -> None:
    def body(*messages: tuple[str, str]) -> bytes:
        return orjson.dumps(
            {"messages": [{"role": role, "content": text} for role, text in messages]}
        )

    shared = system_text(body(("system", "a"), ("user", "1")))
    assert shared == system_text(body(("system", "a"), ("user", "2")))
    assert shared != system_text(body(("system", "b"), ("user", "1")))
    assert system_text(body(("user", "1"))) == b""


def test_the_prefix_of_responses_begins_with_its_instructions() -> None:
    def body(question: str, **more: Any) -> bytes:  # noqa: ANN401 - any parameter
        call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
        turns = [{"role": "system", "content": "a"}, {"role": "user", "content": question}, call]
        return orjson.dumps({"input": turns, **more})

    assert system_text(body("1")) == system_text(body("2")) != b""
    shared = system_text(body("1", instructions="b"))
    assert shared == system_text(body("2", instructions="b"))
    assert shared != system_text(body("1"))
    assert system_text(orjson.dumps({"input": [{"type": "function_call"}]})) == b""
