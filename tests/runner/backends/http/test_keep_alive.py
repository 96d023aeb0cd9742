"""A kept connection that the server closed, on real sockets."""

from __future__ import annotations

import asyncio
import json
import random
import socket
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from lm_eval_so.runner.backends.http.keep_alive import KEEP_ALIVE_S, Sending, new_socket
from lm_eval_so.runner.backends.openai.backend import OpenAIBackend
from lm_eval_so.runner.errors import APIConnectionError
from lm_eval_so.runner.models import ChatResponse, RunConfig, TestSample
from support.requests import request_of

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(autouse=True)
def _kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the machine stands still between two questions."""
    monkeypatch.setattr("lm_eval_so.runner.backends.http.transport.KEEP_ALIVE_S", 600)


WHOLE = {"message": {"role": "assistant", "content": "fine"}, "finish_reason": "stop"}
CHUNK = {"index": 0, "delta": {"content": "fine"}, "finish_reason": "stop"}


def answer(kind: str, body: str) -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return (head + body).encode()


PLAIN = answer("application/json", json.dumps({"choices": [WHOLE]}))
STREAMED = answer(
    "text/event-stream", f"data: {json.dumps({'choices': [CHUNK]})}\n\ndata: [DONE]\n\n"
)


def reset(writer: asyncio.StreamWriter) -> None:
    """Closes as a process does that goes away: with RST in the place of FIN."""
    linger = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()


@dataclass
class Server:
    """Answers, unless ``lose`` says how to lose the ``nth`` request of a connection.

    Attributes:
        read: Requests read from each connection, lost ones included.
    """

    lose: Callable[[int], bytes | str | None]
    read: list[int] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.read.append(0)
        mine = len(self.read) - 1
        try:
            while await self._turn(reader, writer, mine):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _turn(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, mine: int
    ) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length: ")[2].partition(b"\r")[0])
        body = await reader.readexactly(length)
        self.read[mine] += 1
        lost = self.lose(self.read[mine])
        if lost is None:
            writer.write(STREAMED if b'"stream":true' in body else PLAIN)
            await writer.drain()
            return True
        if isinstance(lost, bytes):
            writer.write(lost)
            await writer.drain()
        else:
            reset(writer)
        return False


def ask(
    server: Server, times: int, *, at_once: int = 1, **parameters: object
) -> list[ChatResponse | BaseException]:
    """What becomes of the questions, without retries."""

    async def main() -> list[ChatResponse | BaseException]:
        async with await asyncio.start_server(server.serve, "127.0.0.1", 0) as listening:
            port = listening.sockets[0].getsockname()[1]
            options = {"base_url": f"http://127.0.0.1:{port}/v1", "api_key": "sk-0123456789"}
            config = RunConfig(
                backend="openai", model="m", parameters=parameters, backend_options=options
            )
            sample = TestSample(id="s0", messages=[{"role": "user", "content": "q"}])
            request = request_of(sample, 0, config, "key", "trace")
            found: list[ChatResponse | BaseException] = []
            async with OpenAIBackend(config) as backend:
                for _ in range(times // at_once):
                    sent = [backend.send(request) for _ in range(at_once)]
                    found += await asyncio.gather(*sent, return_exceptions=True)
            return found

    return asyncio.run(main())


def failed(outcomes: list[ChatResponse | BaseException]) -> list[BaseException]:
    return [outcome for outcome in outcomes if isinstance(outcome, BaseException)]


WAYS = pytest.mark.parametrize("way", [b"", "reset"], ids=["closed", "reset"])
SHAPES = pytest.mark.parametrize("shape", [{}, {"stream": True}], ids=["whole", "streamed"])


@WAYS
@SHAPES
def test_what_is_lost_on_a_kept_connection_is_sent_again(
    way: bytes | str, shape: dict[str, Any]
) -> None:
    server = Server(lambda nth: way if nth > 1 else None)
    assert failed(ask(server, 6, **shape)) == []
    assert sum(server.read) >= 6 + 3, "connections were kept, and lost"


@WAYS
@SHAPES
def test_a_new_connection_that_breaks_is_an_error(way: bytes | str, shape: dict[str, Any]) -> None:
    server = Server(lambda _nth: way)
    (error,) = ask(server, 1, **shape)
    assert isinstance(error, APIConnectionError)
    assert [read for read in server.read if read] == [
        1
    ]  # another looked for TLS, and asked nothing


@SHAPES
def test_a_question_is_sent_again_once_and_no_more(shape: dict[str, Any]) -> None:
    fine = iter([None])
    server = Server(lambda _nth: next(fine, b""))
    first, second = ask(server, 2, **shape)
    assert isinstance(first, ChatResponse)
    assert isinstance(second, APIConnectionError)
    assert server.read == [2, 1]


@SHAPES
def test_many_connections_closed_at_once_cost_each_question_one_more(
    shape: dict[str, Any],
) -> None:
    server = Server(lambda nth: b"" if nth > 1 else None)
    assert failed(ask(server, 60, at_once=30, **shape)) == []
    assert max(server.read) <= 2


@pytest.mark.parametrize("half", [b"H", b"HTTP/1.1 2", b"HTTP/1.1 200 OK\r\nContent-"])
def test_an_answer_that_had_begun_is_not_asked_for_again(half: bytes) -> None:
    server = Server(lambda nth: half if nth > 1 else None)
    first, second = ask(server, 2)
    assert isinstance(first, ChatResponse)
    assert isinstance(second, APIConnectionError)
    assert server.read == [2]


def test_a_stream_that_breaks_after_its_head_is_not_asked_for_again() -> None:
    cut = STREAMED.partition(b"data:")[0]
    server = Server(lambda nth: cut if nth > 1 else None)
    first, second = ask(server, 2, stream=True)
    assert isinstance(first, ChatResponse)
    assert isinstance(second, APIConnectionError)
    assert server.read == [2]


def test_of_1000_none_is_lost_while_the_server_closes_connections_at_random() -> None:
    chance = random.Random(7)
    ways = [b"", "reset"]
    server = Server(lambda nth: chance.choice(ways) if nth > 1 and chance.random() < 0.2 else None)
    assert failed(ask(server, 1000, at_once=20)) == []
    assert sum(server.read) > 1050


def test_connections_are_kept_for_less_than_any_server_keeps_them() -> None:
    assert KEEP_ALIVE_S < 2, "gunicorn's default"


def test_connections_of_a_steady_flow_are_used_again() -> None:
    server = Server(lambda _nth: None)
    assert failed(ask(server, 40, at_once=4)) == []
    assert len(server.read) == 4


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_what_breaks_late_is_not_asked_again_since_it_may_be_paid_for() -> None:
    clock = Clock()
    sending = Sending(clock)
    clock.now = 5.0
    assert sending.lost
    clock.now = 5.1
    assert not sending.lost


def test_a_socket_tells_the_request_in_whose_context_it_is_opened() -> None:
    address = (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 9))

    async def main() -> None:
        other = Sending().watch()
        mine = Sending().watch()
        await asyncio.create_task(opening())
        assert not mine.lost
        assert other.lost

    async def opening() -> None:
        new_socket(address).close()

    new_socket(address).close()  # nobody asks
    asyncio.run(main())
