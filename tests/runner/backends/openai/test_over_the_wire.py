"""What happens between the server and the reader of an answer, on real sockets."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from lm_eval_so.runner.backends.openai.backend import OpenAIBackend
from lm_eval_so.runner.errors import BackendError
from lm_eval_so.runner.models import ChatResponse, RunConfig, TestSample
from support.requests import request_of

if TYPE_CHECKING:
    from collections.abc import Callable

WHOLE = json.dumps({"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]}).encode()
CHUNK = json.dumps(
    {"choices": [{"index": 0, "delta": {"content": "hi"}, "finish_reason": "stop"}]}
).encode()
EVENTS = b"data: " + CHUNK + b"\n\ndata: [DONE]\n\n"
SHAPES = pytest.mark.parametrize("parameters", [{}, {"stream": True}], ids=["whole", "streamed"])


def reply(body: bytes, *headers: str, status: str = "200 OK", length: int | None = None) -> bytes:
    announced = len(body) if length is None else length
    head = [f"HTTP/1.1 {status}", f"Content-Length: {announced}", *headers, "", ""]
    return "\r\n".join(head).encode() + body


@dataclass
class Server:
    """Answers the ``nth`` request, from 1, with the bytes that ``behave`` gives.

    Attributes:
        received: Method, path and body of each request.
        connections: How many there were.
        port: Where it listens, from the first request on.
    """

    behave: Callable[[int, Server], bytes]
    received: list[tuple[str, str, bytes]] = field(default_factory=list)
    connections: int = 0
    port: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                method, path, _ = head.decode("latin-1").split(" ", 2)
                length = int(head.lower().partition(b"content-length: ")[2].split(b"\r")[0])
                self.received.append((method, path, await reader.readexactly(length)))
                writer.write(self.behave(len(self.received), self))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


class ClosingServer(Server):
    """Answers one request of a connection, and closes it."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(self.behave(1, self))
        await writer.drain()
        writer.close()


def ask(server: Server, times: int = 1, **parameters: Any) -> list[ChatResponse]:  # noqa: ANN401 - any
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


def failure(server: Server, **parameters: Any) -> BackendError:  # noqa: ANN401 - any
    with pytest.raises(BackendError) as raised:
        ask(server, **parameters)
    return raised.value


@SHAPES
@pytest.mark.parametrize("body", [WHOLE, EVENTS], ids=["json", "events"])
@pytest.mark.parametrize("kind", ["application/json", "text/event-stream", "text/plain"])
def test_what_comes_is_read_whatever_was_asked_for(
    kind: str, body: bytes, parameters: dict[str, Any]
) -> None:
    (answer,) = ask(Server(lambda *_: reply(body, f"Content-Type: {kind}")), **parameters)
    assert (answer.text, answer.finish_reason) == ("hi", "stop")


@SHAPES
@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "X-GZIP", "deflate"])
def test_every_name_of_gzip_is_unpacked(coding: str, parameters: dict[str, Any]) -> None:
    body = EVENTS if parameters else WHOLE
    packed = zlib.compress(body) if coding == "deflate" else gzip.compress(body)
    answers = ask(
        Server(lambda *_: reply(packed, f"Content-Encoding: {coding}")), times=2, **parameters
    )
    assert [answer.text for answer in answers] == ["hi", "hi"]


def test_an_error_that_is_packed_is_told() -> None:
    packed = gzip.compress(b'{"error": {"message": "why"}}')
    server = Server(lambda *_: reply(packed, "Content-Encoding: x-gzip", status="400 Bad"))
    assert failure(server).message == "why"
    assert failure(server, stream=True).message == "why"


@SHAPES
def test_what_says_it_is_packed_and_is_not_fails_its_sample(parameters: dict[str, Any]) -> None:
    found = failure(Server(lambda *_: reply(WHOLE, "Content-Encoding: x-gzip")), **parameters)
    assert (found.error_type, found.retryable) == ("APIConnectionError", True)


def test_an_answer_is_whole_at_its_done_although_the_body_never_ends() -> None:
    server = Server(lambda *_: reply(EVENTS, length=len(EVENTS) + 1))
    answers = ask(server, times=2, stream=True)
    assert [answer.text for answer in answers] == ["hi", "hi"]
    assert server.connections == 2, "none that is not read to its end is used again"


def test_a_stream_that_is_read_to_its_end_leaves_its_connection_for_the_next() -> None:
    server = Server(lambda *_: reply(EVENTS))
    ask(server, times=5, stream=True)
    assert server.connections == 1


@SHAPES
def test_a_body_that_is_shorter_than_announced_is_no_answer(parameters: dict[str, Any]) -> None:
    body = EVENTS.partition(b"data: [DONE]")[0] if parameters else WHOLE

    server = ClosingServer(lambda *_: reply(body, length=len(body) + 1))
    assert failure(server, **parameters).error_type == "APIConnectionError"


@SHAPES
@pytest.mark.parametrize("status", [301, 302, 303, 300, 304])
def test_a_redirect_that_loses_the_question_is_told_and_not_followed(
    status: int, parameters: dict[str, Any]
) -> None:
    place = "Location: https://user:secret@other.example/v1/chat/completions?key=secret"
    server = Server(lambda *_: reply(b"", place, status=f"{status} Moved"))
    found = failure(server, **parameters)
    assert (found.error_type, found.status_code, found.retryable) == (
        "RedirectError",
        status,
        False,
    )
    assert "'https://other.example/v1/chat/completions'" in found.message
    assert "backend.options.base_url" in found.message
    assert "secret" not in found.message
    assert len(server.received) == 1


@SHAPES
@pytest.mark.parametrize("status", [307, 308])
@pytest.mark.parametrize("place", ["/v2/chat", "http://127.0.0.1:{port}/v2/chat"])
def test_a_redirect_on_the_same_host_that_keeps_the_question_is_followed(
    place: str, status: int, parameters: dict[str, Any]
) -> None:
    def behave(nth: int, server: Server) -> bytes:
        moved = "Location: " + place.format(port=server.port)
        return reply(WHOLE) if nth == 2 else reply(b"moved", moved, status=f"{status} Moved")

    server = Server(behave)
    (answer,) = ask(server, **parameters)
    assert answer.text == "hi"
    (first, second) = server.received
    assert second == ("POST", "/v2/chat", first[2])


@pytest.mark.parametrize("status", [307, 308])
@pytest.mark.parametrize(
    "place",
    [
        *("http://other.example/v1", "http://127.0.0.1:9/v1", "//other.example/v1"),
        *("ftp://127.0.0.1/v1", "http://[", "", "http://\u00e9\udcff"),
    ],
)
def test_no_redirect_hands_the_question_to_another_host(place: str, status: int) -> None:
    head = b"Location: " + place.encode(errors="surrogateescape")
    answer = reply(b"", "Location: @", status=f"{status} Moved").replace(b"Location: @", head)
    server = Server(lambda *_: answer)
    assert failure(server).error_type == "RedirectError"
    assert len(server.received) == 1


def test_a_redirect_is_followed_once() -> None:
    server = Server(lambda *_: reply(b"", "Location: /v1/x", status="307 Moved"))
    assert failure(server).error_type == "RedirectError"
    assert [path for _, path, _ in server.received] == ["/v1/chat/completions", "/v1/x"]


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
    server = Server(lambda *_: reply(b"{}", *headers, status=f"{status} No"))
    found = failure(server)
    assert found.retryable is retryable
    assert found.retry_after == (3 if retryable else None)


@SHAPES
def test_header_bytes_that_are_no_text_cost_nothing(parameters: dict[str, Any]) -> None:
    answer = reply(EVENTS if parameters else WHOLE, "x-request-id: @").replace(b"@", b"r\xe9")
    (response,) = ask(Server(lambda *_: answer), **parameters)
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
    server = Server(lambda *_: reply(EVENTS))
    ask(server, stream=True, **options)
    assert json.loads(server.received[0][2]).get("stream_options") == sent


@pytest.mark.parametrize("status", [304, 300, 302])
def test_a_redirect_to_nowhere_is_told_as_such(status: int) -> None:
    found = failure(Server(lambda *_: reply(b"", status=f"{status} Moved")))
    assert found.message == (
        f"the server answers {status}, and says neither an answer nor a place to ask"
    )


@pytest.mark.parametrize("header", ["Content-Type : text/plain", "no colon", "X[a]: b"])
def test_what_is_no_http_is_not_told_as_a_400_of_the_server(header: str) -> None:
    found = failure(Server(lambda *_: reply(WHOLE, header)))
    assert (found.error_type, found.status_code) == ("APIConnectionError", None)
    assert found.message.startswith("what came is no valid HTTP: ")
    assert header in found.message
    assert "400" not in found.message
