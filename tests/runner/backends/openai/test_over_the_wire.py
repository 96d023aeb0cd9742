"""What happens between the server and the reader of an answer, on real sockets."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from typing import Any

import pytest

from lm_eval_so.runner.backends.openai.backend import OpenAIBackend
from lm_eval_so.runner.errors import BackendError
from lm_eval_so.runner.models import ChatResponse, RunConfig, TestSample
from support.requests import request_of
from support.scripted_server import ClosingServer, ScriptedServer, reply

WHOLE = json.dumps({"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]}).encode()
CHUNK = json.dumps(
    {"choices": [{"index": 0, "delta": {"content": "hi"}, "finish_reason": "stop"}]}
).encode()
EVENTS = b"data: " + CHUNK + b"\n\ndata: [DONE]\n\n"
SHAPES = pytest.mark.parametrize("parameters", [{}, {"stream": True}], ids=["whole", "streamed"])


def ask(server: ScriptedServer, times: int = 1, **parameters: Any) -> list[ChatResponse]:  # noqa: ANN401 - any
    async def main() -> list[ChatResponse]:
        async with await asyncio.start_server(server.serve, "127.0.0.1", 0) as listening:
            server.port = listening.sockets[0].getsockname()[1]
            reached = {"base_url": f"http://127.0.0.1:{server.port}/v1", "api_key": "sk-01234567"}
            config = RunConfig(
                backend="openai", model="m", parameters=parameters, backend_options=reached
            )
            sample = TestSample(id="s0", messages=[{"role": "user", "content": "q"}])
            request = request_of(sample, 0, config, "key", "trace")
            async with OpenAIBackend(config) as backend:
                return [await backend.send(request) for _ in range(times)]

    return asyncio.run(main())


def failure(server: ScriptedServer, **parameters: Any) -> BackendError:  # noqa: ANN401 - any
    with pytest.raises(BackendError) as raised:
        ask(server, **parameters)
    return raised.value


@SHAPES
@pytest.mark.parametrize("body", [WHOLE, EVENTS], ids=["json", "events"])
@pytest.mark.parametrize("kind", ["application/json", "text/event-stream", "text/plain"])
def test_what_comes_is_read_whatever_was_asked_for(
    kind: str, body: bytes, parameters: dict[str, Any]
) -> None:
    (answer,) = ask(ScriptedServer(lambda *_: reply(body, f"Content-Type: {kind}")), **parameters)
    assert (answer.text, answer.finish_reason) == ("hi", "stop")


@SHAPES
@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "X-GZIP", "deflate"])
def test_every_name_of_gzip_is_unpacked(coding: str, parameters: dict[str, Any]) -> None:
    body = EVENTS if parameters else WHOLE
    packed = zlib.compress(body) if coding == "deflate" else gzip.compress(body)
    answers = ask(
        ScriptedServer(lambda *_: reply(packed, f"Content-Encoding: {coding}")),
        times=2,
        **parameters,
    )
    assert [answer.text for answer in answers] == ["hi", "hi"]


def test_an_error_that_is_packed_is_told() -> None:
    packed = gzip.compress(b'{"error": {"message": "why"}}')
    server = ScriptedServer(lambda *_: reply(packed, "Content-Encoding: x-gzip", status="400 Bad"))
    assert failure(server).message == "why"
    assert failure(server, stream=True).message == "why"


@SHAPES
@pytest.mark.parametrize("coding", ["gzip", "x-gzip"])
def test_what_says_it_is_gzip_and_is_not_is_read(coding: str, parameters: dict[str, Any]) -> None:
    server = ScriptedServer(lambda *_: reply(WHOLE, f"Content-Encoding: {coding}"))
    assert [answer.text for answer in ask(server, **parameters)] == ["hi"]


@SHAPES
def test_what_cannot_be_unpacked_fails_its_sample(parameters: dict[str, Any]) -> None:
    server = ScriptedServer(lambda *_: reply(WHOLE, "Content-Encoding: deflate"))
    found = failure(server, **parameters)
    assert (found.error_type, found.retryable) == ("APIConnectionError", True)


def test_an_answer_is_whole_at_its_done_although_the_body_never_ends() -> None:
    server = ScriptedServer(lambda *_: reply(EVENTS, length=len(EVENTS) + 1))
    answers = ask(server, times=2, stream=True)
    assert [answer.text for answer in answers] == ["hi", "hi"]
    assert server.connections == 2, "none that is not read to its end is used again"


def test_a_stream_that_is_read_to_its_end_leaves_its_connection_for_the_next() -> None:
    server = ScriptedServer(lambda *_: reply(EVENTS))
    ask(server, times=5, stream=True)
    assert server.connections == 1


@SHAPES
def test_a_body_that_is_shorter_than_announced_is_no_answer(parameters: dict[str, Any]) -> None:
    body = EVENTS.partition(b"data: [DONE]")[0] if parameters else WHOLE

    server = ClosingServer(lambda *_: reply(body, length=len(body) + 1))
    assert failure(server, **parameters).error_type == "APIConnectionError"


@pytest.mark.parametrize(
    ("status", "header", "retryable"),
    [
        (400, "true", True),
        (401, "true", True),
        (429, "false", False),
        (503, "false", False),
        (503, "true", True),
        (503, "maybe", True),
        (400, "", False),
        (400, "TRUE ", True),
    ],
)
def test_a_server_that_says_whether_to_try_again_is_heeded(
    status: int, header: str, *, retryable: bool
) -> None:
    headers = (f"x-should-retry: {header}", "Retry-After: 3")
    server = ScriptedServer(lambda *_: reply(b"{}", *headers, status=f"{status} No"))
    found = failure(server)
    assert found.retryable is retryable
    assert found.retry_after == (3 if retryable else None)


@SHAPES
def test_header_bytes_that_are_no_text_cost_nothing(parameters: dict[str, Any]) -> None:
    answer = reply(EVENTS if parameters else WHOLE, "x-request-id: @").replace(b"@", b"r\xe9")
    (response,) = ask(ScriptedServer(lambda *_: answer), **parameters)
    assert response.request_id == "r\u00e9"
    assert response.model_dump_json()


@pytest.mark.parametrize(
    ("options", "sent"),
    [
        ({}, {"include_usage": True}),
        ({"stream_options": None}, None),
        ({"stream_options": {}}, {}),
        ({"stream_options": {"include_usage": False}}, {"include_usage": False}),
    ],
    ids=["asked-for", "left-out", "empty", "named"],
)
def test_usage_is_asked_for_unless_told_otherwise(
    options: dict[str, Any], sent: dict[str, Any] | None
) -> None:
    server = ScriptedServer(lambda *_: reply(EVENTS))
    ask(server, stream=True, **options)
    assert json.loads(server.received[0][2]).get("stream_options") == sent


@pytest.mark.parametrize("header", ["Content-Type : text/plain", "no colon", "X[a]: b"])
def test_what_is_no_http_is_not_told_as_a_400_of_the_server(header: str) -> None:
    found = failure(ScriptedServer(lambda *_: reply(WHOLE, header)))
    assert (found.error_type, found.status_code) == ("APIConnectionError", None)
    assert found.message.startswith("what came is no valid HTTP: ")
    assert header in found.message
    assert "400" not in found.message
