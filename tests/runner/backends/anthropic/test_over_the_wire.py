"""Answers of gateways as they come over a real socket."""

from __future__ import annotations

import asyncio

import pytest

from lm_eval_so.runner.backends.anthropic.backend import AnthropicBackend
from lm_eval_so.runner.errors import InvalidResponseError
from lm_eval_so.runner.models import ChatResponse, RunConfig, TestSample
from support.fake_openai import Reply
from support.fake_wires import FakeAnthropic
from support.message_bodies import events, message, sse
from support.requests import request_of


def ask(reply: Reply, *, stream: bool = False) -> ChatResponse:
    config = RunConfig(backend="anthropic", model="m", parameters={"stream": stream})
    sample = TestSample(id="s0", messages=[{"role": "user", "content": "q"}])

    async def main(backend: AnthropicBackend) -> ChatResponse:
        async with backend:
            return await backend.send(request_of(sample, 0, config, "key", "trace"))

    with FakeAnthropic() as fake:
        fake.behave = lambda _received, _nth: reply
        return asyncio.run(main(AnthropicBackend(config, fake.env)))


@pytest.mark.parametrize("stream", [False, True])
def test_the_cost_that_a_gateway_tells_comes_with_the_answer(*, stream: bool) -> None:
    body = sse(events(message())) if stream else None
    reply = Reply(body=body, headers={"x-litellm-response-cost": "0.5"})
    assert ask(reply, stream=stream).cost_usd == 0.5


def test_a_stream_ends_with_its_stop_reason_or_was_cut() -> None:
    *told, stopped, _ = events(message({"type": "text", "text": "hello"}))
    answer = ask(Reply(body=sse([*told, stopped])), stream=True)
    assert (answer.text, answer.finish_reason) == ("hello", "stop")
    with pytest.raises(InvalidResponseError, match="the stream ended before the answer did"):
        ask(Reply(body=sse(told)), stream=True)
