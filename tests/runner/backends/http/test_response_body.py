"""Bodies without end, and small ones that unpack to large ones, on real sockets."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import subprocess
import sys
import zlib
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from conftest import program, rows
from lm_eval_so.runner.backends.http.connection import Connection
from lm_eval_so.runner.backends.http.transport import Transport
from lm_eval_so.runner.backends.openai.backend import OpenAIBackend
from lm_eval_so.runner.errors import AnswerTooLongError, APIConnectionError, BackendError
from lm_eval_so.runner.models import ChatResponse, RunConfig, TestSample
from support.fake_openai import FakeOpenAI, Reply
from support.requests import request_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    Body = Callable[[], AsyncIterator[bytes]]

BOUND = 1_000_000
WHOLE = json.dumps({"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]}).encode()
EVENT = b'data: {"choices": [{"index": 0, "delta": {"content": "la"}}]}\n\n'
SHAPES = pytest.mark.parametrize("parameters", [{}, {"stream": True}], ids=["whole", "streamed"])


class Server:
    """Answers every request with a body that comes in chunks; counts what it has sent of them."""

    def __init__(self, body: Body, *headers: str, status: str = "200 OK") -> None:
        self._body = body
        self._head = [f"HTTP/1.1 {status}", "Transfer-Encoding: chunked", *headers, "", ""]
        self.sent = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write("\r\n".join(self._head).encode())
            async for piece in self._body():
                writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                await writer.drain()
                self.sent += len(piece)
            writer.write(b"0\r\n\r\n")
            await writer.drain()
        writer.close()


def ask(server: Server | Raw, bound: int = BOUND, **parameters: Any) -> ChatResponse:  # noqa: ANN401 - any
    async def main() -> ChatResponse:
        async with await asyncio.start_server(server.serve, "127.0.0.1", 0) as listening:
            port = listening.sockets[0].getsockname()[1]
            reached = {"base_url": f"http://127.0.0.1:{port}/v1", "api_key": "sk-01234567"}
            config = RunConfig(
                backend="openai", model="m", parameters=parameters, backend_options=reached
            )
            sample = TestSample(id="s0", messages=[{"role": "user", "content": "q"}])
            backend = OpenAIBackend(config)
            backend.longest_answer = bound
            async with backend:
                return await backend.send(request_of(sample, 0, config, "key", "trace"))

    return asyncio.run(main())


def failure(server: Server | Raw, **parameters: Any) -> BackendError:  # noqa: ANN401 - any
    with pytest.raises(BackendError) as raised:
        ask(server, **parameters)
    return raised.value


async def endless(piece: bytes = b" " * 1000) -> AsyncIterator[bytes]:
    while True:
        yield piece


async def endless_events() -> AsyncIterator[bytes]:
    while True:
        yield EVENT


async def endless_line() -> AsyncIterator[bytes]:
    yield b"data: "
    while True:
        yield b"a" * 1000


@SHAPES
@pytest.mark.parametrize("body", [endless, endless_events, endless_line])
def test_a_body_without_end_is_given_up_at_the_bound(
    body: Body, parameters: dict[str, Any]
) -> None:
    server = Server(body)
    found = failure(server, **parameters)
    assert type(found) is AnswerTooLongError
    assert found.message == "the answer is longer than runner.max_response_mb (1) allows"
    assert (found.retryable, found.status_code) == (False, 200)
    assert server.sent < 20 * BOUND, "beyond the bound there is only what buffers hold"


@SHAPES
@pytest.mark.parametrize("status", ["400 Bad Request", "500 Oh", "429 Slow"])
def test_an_error_without_end_is_the_error_that_its_status_tells(
    status: str, parameters: dict[str, Any]
) -> None:
    found = failure(Server(endless, status=status), **parameters)
    assert found.status_code == int(status[:3])
    assert type(found) is not AnswerTooLongError


def packed(coding: str, size: int) -> bytes:
    text = WHOLE[:-1] + b" " * size + b"}"
    return zlib.compress(text, 9) if coding == "deflate" else gzip.compress(text, 9)


@SHAPES
@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "deflate"])
def test_what_unpacks_to_too_much_is_given_up(coding: str, parameters: dict[str, Any]) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield packed(coding, 5 * BOUND)

    found = failure(Server(body, f"Content-Encoding: {coding}"), **parameters)
    assert type(found) is AnswerTooLongError


@SHAPES
@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "deflate", "identity"])
def test_what_stays_below_the_bound_is_taken(coding: str, parameters: dict[str, Any]) -> None:
    text = WHOLE[:-1] + b" " * (BOUND // 2) + b"}"

    async def body() -> AsyncIterator[bytes]:
        yield text if coding == "identity" else packed(coding, BOUND // 2)

    assert ask(Server(body, f"Content-Encoding: {coding}"), **parameters).text == "hi"


def bomb(megabytes: int) -> bytes:
    """A thousandth of what it unpacks to."""
    packing = zlib.compressobj(9, wbits=zlib.MAX_WBITS | 16)
    block = b" " * 1_000_000
    return b"".join(packing.compress(block) for _ in range(megabytes)) + packing.flush()


def peak_of_a_run(server: FakeOpenAI, dataset: Path, out: str) -> int:
    """Kilobytes that a process of its own had at the most."""
    arguments = ["backend=openai", "model=m", "dataset=path", f"dataset.path={dataset}"]
    arguments += [f"output_dir={out}", "runner.max_response_mb=8", "runner.max_concurrency=1"]
    run = subprocess.Popen([*program(), *arguments], env={**os.environ, **server.env})
    _, status, used = os.wait4(run.pid, 0)
    run.returncode = os.waitstatus_to_exitcode(status)
    assert run.returncode == (0 if out == "small" else 1)
    return used.ru_maxrss


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss has another unit elsewhere")
@pytest.mark.parametrize("coding", ["gzip", "x-gzip"])
def test_a_bomb_costs_no_more_memory_than_the_bound(
    coding: str, make_dataset: Callable[..., Path], tmp_path: Path
) -> None:
    body = bomb(300)
    first = {"s0": "bomb"}
    with FakeOpenAI() as server:
        usual = peak_of_a_run(server, make_dataset(4), "small")
        server.behave = lambda received, _: (
            Reply(body=body, headers={"Content-Encoding": coding})
            if received.question == "bomb"
            else Reply()
        )
        peak = peak_of_a_run(server, make_dataset(4, **first), "large")
    assert peak - usual < 40_000
    results = rows(tmp_path / "large" / "run_results.jsonl")
    assert [result["status"] for result in results] == ["error", "ok", "ok", "ok"]
    assert results[0]["error"]["error_type"] == "AnswerTooLongError"


REFUSAL = json.dumps({"error": {"message": "the key is wrong"}}).encode()
CHUNK = b"%x\r\n%b\r\n" % (len(REFUSAL), REFUSAL)


class Raw:
    """Answers with these lines and this body, and hangs up or waits for the other side to."""

    def __init__(self, status: int, body: bytes, *headers: str, hangs_up: bool = True) -> None:
        head = "\r\n".join([f"HTTP/1.1 {status} Said", *headers, "", ""])
        self._answer, self._hangs_up = head.encode() + body, hangs_up

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(self._answer)
            await writer.drain()
            while not self._hangs_up and await reader.read(1 << 16):
                pass
        writer.close()


BROKEN = pytest.mark.parametrize(
    ("body", "header"),
    [
        pytest.param(REFUSAL, "Content-Length: 500", id="short"),
        pytest.param(CHUNK, "Transfer-Encoding: chunked", id="no-last-chunk"),
        pytest.param(CHUNK[:-9], "Transfer-Encoding: chunked", id="half-a-chunk"),
        pytest.param(gzip.compress(REFUSAL)[:-9], "Content-Encoding: gzip", id="gzip-cut"),
        pytest.param(REFUSAL, "Content-Encoding: gzip", id="no-gzip"),
        pytest.param(REFUSAL, "Content-Encoding: x-gzip", id="no-x-gzip"),
        pytest.param(REFUSAL, "Content-Encoding: deflate", id="no-deflate"),
        pytest.param(b"\x0b\x02\x80abc\x03", "Content-Encoding: br", id="br"),
        pytest.param(b"\x28\xb5\x2f\xfdabc", "Content-Encoding: zstd", id="zstd"),
    ],
)


@SHAPES
@BROKEN
def test_a_status_counts_whatever_becomes_of_its_body(
    body: bytes, header: str, parameters: dict[str, Any]
) -> None:
    found = failure(Raw(401, body, header), **parameters)
    assert (found.error_type, found.status_code) == ("AuthenticationError", 401)
    waits = failure(Raw(429, body, header, "Retry-After: 7"), **parameters)
    assert (waits.error_type, waits.retry_after) == ("RateLimitError", 7.0)


@pytest.mark.parametrize("header", ["Content-Length: 500", "Content-Encoding: gzip"])
def test_what_was_read_of_a_broken_refusal_is_told(header: str) -> None:
    assert failure(Raw(401, REFUSAL, header)).message == "the key is wrong"


@SHAPES
def test_a_refusal_whose_body_does_not_come_is_not_waited_for(
    parameters: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lm_eval_so.runner.backends.http.response_body._REFUSAL_S", 0.05)
    found = failure(Raw(401, REFUSAL, "Content-Length: 500", hangs_up=False), **parameters)
    assert (found.error_type, found.message) == ("AuthenticationError", "the key is wrong")


@SHAPES
@pytest.mark.parametrize(
    ("body", "header"),
    [
        pytest.param(WHOLE, "Content-Length: 500", id="short"),
        pytest.param(
            b"%x\r\n%b\r\n" % (len(WHOLE), WHOLE), "Transfer-Encoding: chunked", id="chunk"
        ),
        pytest.param(zlib.compress(WHOLE)[:-4], "Content-Encoding: deflate", id="deflate"),
        pytest.param(WHOLE, "Content-Encoding: br", id="br"),
    ],
)
def test_a_broken_answer_is_none(body: bytes, header: str, parameters: dict[str, Any]) -> None:
    found = failure(Raw(200, body, header), **parameters)
    assert found.retryable
    assert found.error_type in ("APIConnectionError", "InvalidResponseError")


def test_a_status_that_was_said_to_be_an_answer_s_must_be_whole() -> None:
    async def main(server: Raw) -> bytes:
        async with await asyncio.start_server(server.serve, "127.0.0.1", 0) as listening:
            port = listening.sockets[0].getsockname()[1]
            connection = Connection(address=f"http://127.0.0.1:{port}")
            async with Transport(connection, "/ask", answered=[404]) as transport:
                return (await transport.post(b"{}", {})).body

    assert asyncio.run(main(Raw(404, b"words", "Content-Length: 5"))) == b"words"
    with pytest.raises(APIConnectionError):
        asyncio.run(main(Raw(404, b"words", "Content-Length: 6")))
