"""The providers in conf/backend: where they are, and what their documentation says is peculiar."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from hydra import compose, initialize_config_dir

from lm_eval_so.runner.backends.registry import create_backend
from lm_eval_so.runner.config.compose import plan_from
from lm_eval_so.runner.errors import BackendError, BackendSetupError, ConfigError
from lm_eval_so.runner.hydra_app.register import register
from lm_eval_so.runner.hydra_app.shipped import shipped
from lm_eval_so.runner.models import ChatResponse, TestSample
from support.fake_openai import FakeOpenAI, Received, Reply
from support.requests import request_of

if TYPE_CHECKING:
    from lm_eval_so.runner.backends.base import ChatBackend

CONF = shipped("conf")
KEY = "sk-0123456789-nobody"
AZURE = "https://mine.openai.azure.com"
ADDRESSES = {
    "azure": ("AZURE_OPENAI_API_KEY", f"{AZURE}/openai/deployments/m?api-version=2024-10-21"),
    "azure_v1": ("AZURE_OPENAI_API_KEY", f"{AZURE}/openai/v1"),
    "gemini": ("GEMINI_API_KEY", "https://generativelanguage.googleapis.com/v1beta/openai"),
    "anthropic_compat": ("ANTHROPIC_API_KEY", "https://api.anthropic.com/v1"),
    "mistral": ("MISTRAL_API_KEY", "https://api.mistral.ai/v1"),
    "groq": ("GROQ_API_KEY", "https://api.groq.com/openai/v1"),
    "deepseek": ("DEEPSEEK_API_KEY", "https://api.deepseek.com"),
    "together": ("TOGETHER_API_KEY", "https://api.together.xyz/v1"),
    "fireworks": ("FIREWORKS_API_KEY", "https://api.fireworks.ai/inference/v1"),
    "openrouter": ("OPENROUTER_API_KEY", "https://openrouter.ai/api/v1"),
    "xai": ("XAI_API_KEY", "https://api.x.ai/v1"),
    "bedrock": ("AWS_BEARER_TOKEN_BEDROCK", "https://bedrock-mantle.eu-west-1.api.aws/v1"),
    "litellm": ("LITELLM_API_KEY", "http://localhost:4000/v1"),
    "ollama": ("OLLAMA_API_KEY", "http://localhost:11434/v1"),
    "vllm": ("VLLM_API_KEY", "http://localhost:8000/v1"),
    "sglang": ("SGLANG_API_KEY", "http://localhost:30000/v1"),
    "lm_studio": ("LM_API_TOKEN", "http://localhost:1234/v1"),
}
"""The variable with the key, and the address, of each."""
ASK_FOR_NO_KEY = {"ollama", "vllm", "sglang", "lm_studio"}
BY_THEMSELVES = {"openai"}


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, _ in ADDRESSES.values():
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", f"{AZURE}/")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")


def made(name: str, *overrides: str) -> ChatBackend:
    register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        composed = compose("config", [f"backend={name}", "model=m", *overrides])
    return create_backend(plan_from(composed).run_config)


def test_a_preset_becomes_a_pool_by_its_addresses_and_keeps_its_name() -> None:
    addresses = "http://a:1/v1,http://b:1/v1"
    options = [f"backend.options.base_url=[{addresses}]", "backend.options.endpoint_name=h100"]
    backend = made("vllm", *options)
    assert (backend.replicas, backend.endpoint) == (2, "h100")
    assert backend.identity_options == made("vllm").identity_options


def test_the_table_has_each_preset() -> None:
    presets = {
        path.stem
        for path in (CONF / "backend").glob("*.yaml")
        if "kind: openai" in path.read_text(encoding="utf-8")
    }
    assert presets - BY_THEMSELVES == set(ADDRESSES)


@pytest.mark.parametrize("name", ADDRESSES)
def test_a_preset_is_at_its_address_with_the_key_of_its_variable(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    variable, address = ADDRESSES[name]
    monkeypatch.setenv(variable, KEY)
    backend = made(name)
    assert backend.endpoint == address
    assert KEY in backend.secrets
    text = (CONF / "backend" / f"{name}.yaml").read_text(encoding="utf-8")
    assert "# https://" in text, "where its documentation is"


@pytest.mark.parametrize("name", ADDRESSES)
def test_without_a_key_the_variable_is_named_where_one_is_needed(name: str) -> None:
    if name in ASK_FOR_NO_KEY:
        assert made(name).endpoint == ADDRESSES[name][1]
        return
    with pytest.raises(BackendSetupError, match=f"set the variable {ADDRESSES[name][0]}"):
        made(name)


def test_a_resource_that_is_not_named_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AZURE_OPENAI_ENDPOINT")
    with pytest.raises(ConfigError) as refused:
        made("azure")
    sentence = "backend.options.base_url: the variable AZURE_OPENAI_ENDPOINT is not set"
    assert str(refused.value) == sentence


@dataclass(frozen=True)
class Quirk:
    """What a provider sends, and what becomes of it.

    Attributes:
        sent: The body of its answer, over a plain completion's keys; text is sent as it is.
        becomes: Fields of the answer, or of the error.
        error: Name of the error; empty where it is an answer.
        stream: Whether ``sent`` is a stream of events.
    """

    sent: Any
    becomes: dict[str, Any] = field(default_factory=dict)
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    error: str = ""
    stream: bool = False


def says(message: dict[str, Any], finish_reason: object = "stop", **more: Any) -> dict[str, Any]:  # noqa: ANN401 - a body's own
    choice = {"index": 0, "message": {"role": "assistant", **message}}
    return {"choices": [{**choice, "finish_reason": finish_reason}], **more}


HERE = {"content": "Here."}
QUIRKS: dict[str, Quirk] = {
    "azure: a filter names itself in an inner error": Quirk(
        {"error": {"message": "filtered", "innererror": {"code": "ResponsibleAIPolicyViolation"}}},
        {"sample_fault": True, "retryable": False},
        status=400,
        error="BadRequestError",
    ),
    "azure_v1: results of the filter beside an answer": Quirk(
        says(HERE, prompt_filter_results=[{"prompt_index": 0}]), {"text": "Here."}
    ),
    "gemini: an error is a list, with the wait inside": Quirk(
        [
            {
                "error": {
                    "code": 429,
                    "message": "You exceeded your current quota.",
                    "status": "RESOURCE_EXHAUSTED",
                    "details": [{"@type": "google.rpc.RetryInfo", "retryDelay": "7s"}],
                }
            }
        ],
        {"retry_after": 7, "retryable": True},
        status=429,
        error="RateLimitError",
    ),
    "gemini: thoughts are billed and stand in the total alone": Quirk(
        says(
            HERE,
            usage={
                "prompt_tokens": 5,
                "completion_tokens": 2,
                "total_tokens": 17,
                "completion_tokens_details": {"reasoning_tokens": 10},
            },
        ),
        {"text": "Here.", "tokens": {"input": 5, "output": 12, "total": 17, "reasoning": 10}},
    ),
    "anthropic_compat: overloaded is a status of its own": Quirk(
        {"error": {"type": "overloaded_error", "message": "Overloaded"}},
        {"retryable": True, "status_code": 529},
        status=529,
        error="InternalServerError",
    ),
    "mistral: thoughts are a part of the content": Quirk(
        says(
            {
                "content": [
                    {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
                    {"type": "text", "text": "Here."},
                ]
            }
        ),
        {"text": "Here.", "reasoning": "hm"},
    ),
    "mistral: the model's length": Quirk(says(HERE, "model_length"), {"finish_reason": "length"}),
    "groq: no room is a status of its own": Quirk(
        {"error": {"message": "Flex tier capacity exceeded"}},
        {"retryable": True, "status_code": 498},
        status=498,
        error="TransientError",
    ),
    "deepseek: empty lines come before an answer that takes time": Quirk(
        b"\n\n\n" + json.dumps(says({"content": "Here.", "reasoning_content": "hm"})).encode(),
        {"text": "Here.", "reasoning": "hm"},
    ),
    "deepseek: comments keep a stream alive": Quirk(
        b": keep-alive\n\ndata: "
        + json.dumps({"choices": [{"index": 0, "delta": HERE, "finish_reason": "stop"}]}).encode()
        + b"\n\ndata: [DONE]\n\n",
        {"text": "Here."},
        stream=True,
    ),
    "deepseek: tokens from its cache": Quirk(
        says(
            HERE,
            usage={
                "prompt_tokens": 9,
                "completion_tokens": 1,
                "total_tokens": 10,
                "prompt_cache_hit_tokens": 8,
            },
        ),
        {"tokens": {"input": 9, "output": 1, "total": 10, "cached": 8}},
    ),
    "deepseek: nothing is left to pay with": Quirk(
        {"error": {"message": "Insufficient Balance"}},
        {"retryable": False},
        status=402,
        error="QuotaExceededError",
    ),
    "together: an end is called eos": Quirk(says(HERE, "eos"), {"finish_reason": "stop"}),
    "fireworks: a prompt that is too long is the sample's": Quirk(
        {"error": {"message": "The prompt is too long: 9000, model maximum context length: 8192"}},
        {"sample_fault": True},
        status=400,
        error="BadRequestError",
    ),
    "openrouter: an error within a choice of a 200": Quirk(
        {
            "choices": [
                {
                    "index": 0,
                    "finish_reason": "error",
                    "message": {"role": "assistant", "content": "He"},
                    "error": {"code": 502, "message": "Provider returned error"},
                }
            ]
        },
        {"retryable": True, "status_code": 502},
        error="InternalServerError",
    ),
    "openrouter: it tells the cost": Quirk(
        says(HERE, usage={"prompt_tokens": 1, "completion_tokens": 1, "cost": 0.25}),
        {"cost_usd": 0.25},
    ),
    "openrouter: flagged is a 403 of one sample": Quirk(
        {"error": {"code": 403, "message": "requires moderation", "metadata": {"reasons": ["x"]}}},
        {"sample_fault": True},
        status=403,
        error="PermissionDeniedError",
    ),
    "xai: no credits are left": Quirk(
        {"code": "x", "error": "Your team has used all available credits"},
        {"retryable": False},
        status=403,
        error="QuotaExceededError",
    ),
    "bedrock: a guardrail is a filter": Quirk(
        says(HERE, "guardrail_intervened"), {"finish_reason": "content_filter"}
    ),
    "ollama: it thinks beside its answer": Quirk(
        says({"content": "Here.", "reasoning": "hm"}), {"text": "Here.", "reasoning": "hm"}
    ),
    "vllm: a prompt that is too long is the sample's": Quirk(
        {"object": "error", "message": "This model's maximum context length is 8 tokens"},
        {"sample_fault": True},
        status=400,
        error="BadRequestError",
    ),
    "sglang: a finish reason is an object": Quirk(
        says(HERE, {"type": "length", "length": 8}), {"finish_reason": "length"}
    ),
    "lm_studio: a model that is not loaded": Quirk(
        {"error": {"message": "Model not found"}},
        {"retryable": False},
        status=404,
        error="NotFoundError",
    ),
    "litellm: it tells the cost in a header": Quirk(
        says(HERE), {"cost_usd": 0.5}, headers={"x-litellm-response-cost": "0.5"}
    ),
}


def test_each_preset_has_a_quirk_to_keep() -> None:
    assert {name.partition(":")[0] for name in QUIRKS} == set(ADDRESSES)


def given_by(quirk: Quirk, name: str, server: FakeOpenAI) -> ChatResponse | BackendError:
    """What the preset's backend makes of a server that sends this."""
    path = "openai/deployments/m" if name == "azure" else "v1"
    address = f"{server.base_url.removesuffix('/v1')}/{path}"
    streamed = ["params.stream=true"] if quirk.stream else []
    backend = made(name, f"backend.options.base_url={address}", *streamed)
    sample = TestSample.model_validate({"id": "s", "messages": [{"role": "user", "content": "q"}]})

    async def once() -> ChatResponse | BackendError:
        async with backend:
            try:
                return await backend.send(request_of(sample, 0, backend.config, "key", "trace"))
            except BackendError as error:
                return error

    return asyncio.run(once())


@pytest.mark.parametrize("case", QUIRKS)
def test_what_is_peculiar_is_understood(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    quirk, name = QUIRKS[case], case.partition(":")[0]
    body = quirk.sent if isinstance(quirk.sent, bytes) else json.dumps(quirk.sent).encode()
    monkeypatch.setenv(ADDRESSES[name][0], KEY)

    def behave(_: Received, __: int) -> Reply:
        return Reply(status=quirk.status, body=body, headers=quirk.headers)

    with FakeOpenAI(behave) as server:
        found = given_by(quirk, name, server)
    (got,) = server.requests
    if name.startswith("azure"):
        assert got.headers["api-key"] == KEY
        assert "Authorization" not in got.headers
        assert got.path.endswith("?api-version=2024-10-21") is (name == "azure")
    else:
        assert got.headers["Authorization"] == f"Bearer {KEY}"
    assert type(found).__name__ == (quirk.error or "ChatResponse"), found
    for attribute, expected in quirk.becomes.items():
        value = getattr(found, attribute)
        plain = value.model_dump(exclude_none=True) if attribute == "tokens" else value
        assert plain == expected, attribute
