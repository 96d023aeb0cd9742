from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from lm_eval_so.runner.backends.http.connection import Connection
from lm_eval_so.runner.backends.http.error_response import from_status
from lm_eval_so.runner.backends.http.transport import Transport
from support.scripted_server import ScriptedServer, reply

if TYPE_CHECKING:
    from lm_eval_so.runner.backends.http.response_body import Answer
    from lm_eval_so.runner.errors import BackendError

WHOLE = b'{"answer": "hi"}'
QUESTION = b'{"question": "q"}'
SHAPES = pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])


def ask(server: ScriptedServer, *, streamed: bool = False) -> Answer:
    async def main() -> Answer:
        async with await asyncio.start_server(server.serve, "127.0.0.1", 0) as listening:
            server.port = listening.sockets[0].getsockname()[1]
            connection = Connection(address=f"http://127.0.0.1:{server.port}/v1")
            async with Transport(connection, "/chat/completions") as transport:
                if not streamed:
                    return await transport.post(QUESTION, {})
                async with transport.stream(QUESTION, {}) as stream:
                    return await stream.whole()

    return asyncio.run(main())


def failure(server: ScriptedServer, *, streamed: bool = False) -> BackendError:
    return from_status(*ask(server, streamed=streamed))


@SHAPES
@pytest.mark.parametrize("status", [301, 302, 303, 300, 304])
def test_a_redirect_that_loses_the_question_is_told_and_not_followed(
    status: int, *, streamed: bool
) -> None:
    place = "Location: https://user:secret@other.example/v1/chat/completions?key=secret"
    server = ScriptedServer(lambda *_: reply(b"", place, status=f"{status} Moved"))
    found = failure(server, streamed=streamed)
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
    place: str, status: int, *, streamed: bool
) -> None:
    def behave(nth: int, server: ScriptedServer) -> bytes:
        moved = "Location: " + place.format(port=server.port)
        return reply(WHOLE) if nth == 2 else reply(b"moved", moved, status=f"{status} Moved")

    server = ScriptedServer(behave)
    assert ask(server, streamed=streamed).body == WHOLE
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
    server = ScriptedServer(lambda *_: answer)
    assert failure(server).error_type == "RedirectError"
    assert len(server.received) == 1


def test_a_redirect_is_followed_once() -> None:
    server = ScriptedServer(lambda *_: reply(b"", "Location: /v1/x", status="307 Moved"))
    assert failure(server).error_type == "RedirectError"
    assert [path for _, path, _ in server.received] == ["/v1/chat/completions", "/v1/x"]


@pytest.mark.parametrize("status", [304, 300, 302])
def test_a_redirect_to_nowhere_is_told_as_such(status: int) -> None:
    found = failure(ScriptedServer(lambda *_: reply(b"", status=f"{status} Moved")))
    assert found.message == (
        f"the server answers {status}, and says neither an answer nor a place to ask"
    )
