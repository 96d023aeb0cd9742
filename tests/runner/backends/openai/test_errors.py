from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from lm_eval_so.runner import errors
from lm_eval_so.runner.backends.openai.backend import OpenAIBackend
from lm_eval_so.runner.errors import BackendError
from lm_eval_so.runner.models import ChatResponse, RunConfig, TestSample
from support.fake_openai import FakeOpenAI, Reply
from support.requests import request_of


async def send(address: str, **parameters: object) -> ChatResponse:
    reached = {"base_url": address, "api_key": "sk-fake-0123456789"}
    config = RunConfig(backend="openai", model="m", parameters=parameters, backend_options=reached)
    sample = TestSample(id="s0", messages=[{"role": "user", "content": "q"}])
    async with OpenAIBackend(config) as backend:
        return await backend.send(request_of(sample, 0, config, "key", "trace"))


def failure(server: FakeOpenAI, reply: Reply) -> BackendError:
    server.behave = lambda _received, _nth: reply
    with pytest.raises(BackendError) as raised:
        asyncio.run(send(server.base_url))
    assert len(server.requests) == 1
    return raised.value


STATUSES = {
    400: ("BadRequestError", False),
    401: ("AuthenticationError", False),
    402: ("QuotaExceededError", False),
    403: ("PermissionDeniedError", False),
    404: ("NotFoundError", False),
    405: ("MethodNotAllowedError", False),
    408: ("RequestTimeoutError", True),
    409: ("ConflictError", True),
    418: ("BackendError", False),
    422: ("UnprocessableEntityError", False),
    424: ("TransientError", True),
    425: ("TransientError", True),
    429: ("RateLimitError", True),
    498: ("TransientError", True),
    499: ("TransientError", True),
    500: ("InternalServerError", True),
    502: ("InternalServerError", True),
    503: ("InternalServerError", True),
    504: ("InternalServerError", True),
    529: ("InternalServerError", True),
}


@pytest.mark.parametrize("status", STATUSES)
def test_each_status_has_its_error(server: FakeOpenAI, status: int) -> None:
    found = failure(server, Reply(status=status, text="the reason"))
    assert (found.error_type, found.retryable) == STATUSES[status]
    assert (found.status_code, found.message) == (status, "the reason")
    assert found.details is not None
    assert found.details["request_id"] == "req-1"


@pytest.mark.parametrize("field", ["code", "type"])
def test_a_429_that_says_the_quota_is_spent_is_no_rate_limit(
    server: FakeOpenAI, field: str
) -> None:
    extra = {"error": {"message": "spent", field: "insufficient_quota"}}
    found = failure(server, Reply(status=429, body=json.dumps(extra).encode()))
    assert found.error_type == "QuotaExceededError"
    assert not found.retryable


@pytest.mark.parametrize(
    "body",
    [
        b'{"error": {"message": "why"}}',
        b'{"message": "why"}',
        b'{"detail": "why"}',
        b'{"error": "why"}',
        b"<html>why</html>",
        b"why \xff\xfe",
    ],
    ids=["openai", "flat", "fastapi", "text", "html", "no-utf8"],
)
def test_what_the_server_said_is_kept(server: FakeOpenAI, body: bytes) -> None:
    found = failure(server, Reply(status=500, body=body))
    assert found.error_type == "InternalServerError"
    assert found.message
    assert "why" in json.dumps([found.message, found.details])


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "2"}, 2),
        ({"Retry-After": "0.25"}, 0.25),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"retry-after-ms": "20", "Retry-After": "9"}, 0.02),
        ({}, None),
        ({"Retry-After": "soon"}, None),
    ],
    ids=["seconds", "fraction", "ms", "ms-first", "absent", "unreadable"],
)
def test_the_wait_asked_for_is_read_off_the_answer(
    server: FakeOpenAI, headers: dict[str, str], seconds: float | None
) -> None:
    assert failure(server, Reply(status=429, headers=headers)).retry_after == seconds


def test_a_date_on_the_wire_is_a_wait(server: FakeOpenAI) -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    found = failure(server, Reply(status=503, headers={"Retry-After": later}))
    assert found.retry_after is not None
    assert 90 < found.retry_after <= 100


def wire(answer: bytes, **parameters: object) -> BackendError:
    """The failure when a server writes these bytes and hangs up."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
        await reader.readexactly(length)
        writer.write(answer)
        await writer.drain()
        writer.close()

    async def main() -> BackendError:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            with pytest.raises(BackendError) as raised:
                await send(f"http://127.0.0.1:{port}/v1", **parameters)
            return raised.value

    return asyncio.run(main())


def head(*headers: str) -> bytes:
    return "\r\n".join(["HTTP/1.1 200 OK", *headers, "", ""]).encode()


CHUNK = b'data: {"choices": [{"index": 0, "delta": {"content": "half"}}]}\n\n'
STREAM = head("Content-Type: text/event-stream", "Content-Length: 5000")


@pytest.mark.parametrize(
    ("answer", "expected", "parameters"),
    [
        pytest.param(b"", "APIConnectionError", {}, id="no-byte"),
        pytest.param(b"HTTP/1.1 2", "APIConnectionError", {}, id="half-a-head"),
        pytest.param(b"SSH-2.0-OpenSSH\r\n\r\n", "APIConnectionError", {}, id="no-http"),
        pytest.param(
            head("Content-Length: 1000") + b'{"choices": [', "APIConnectionError", {}, id="cut"
        ),
        pytest.param(
            head("Content-Type: text/plain", "Content-Length: 4") + b"fine",
            "InvalidResponseError",
            {},
            id="text-plain",
        ),
        pytest.param(
            head("Content-Encoding: deflate", "Content-Length: 4") + b"fine",
            "APIConnectionError",
            {},
            id="no-deflate",
        ),
        pytest.param(STREAM + CHUNK, "APIConnectionError", {"stream": True}, id="stream-cut"),
    ],
)
def test_a_wire_that_breaks_is_worth_another_try(
    answer: bytes, expected: str, parameters: dict[str, Any]
) -> None:
    found = wire(answer, **parameters)
    assert found.error_type == expected
    assert found.retryable
    assert found.message


@pytest.mark.parametrize("parameters", [{}, {"stream": True}], ids=["whole", "streamed"])
def test_a_login_page_is_told_by_its_title(parameters: dict[str, Any]) -> None:
    page = b"<html><head>\n<title>Sign in</title></head></html>"
    length = f"Content-Length: {len(page)}"
    found = wire(head("Content-Type: text/html; charset=utf-8", length) + page, **parameters)
    assert found.error_type == "InvalidResponseError"
    assert found.message == "the answer is no completion: a web page: Sign in"


@pytest.mark.parametrize("parameters", [{}, {"stream": True}], ids=["whole", "streamed"])
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("407 Proxy Authentication Required", "ProxyAuthenticationError"),
        ("503 Service Unavailable", "InternalServerError"),
    ],
)
def test_a_proxy_that_refuses_is_told_by_its_status(
    status: str,
    expected: str,
    scheme: str,
    parameters: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    async def main() -> BackendError:
        async with await asyncio.start_server(refuse, "127.0.0.1", 0) as proxy:
            port = proxy.sockets[0].getsockname()[1]
            monkeypatch.setenv(f"{scheme}_proxy", f"http://127.0.0.1:{port}")
            monkeypatch.delenv("no_proxy", raising=False)
            with pytest.raises(BackendError) as raised:
                await send(f"{scheme}://models.example/v1", **parameters)
            return raised.value

    found = asyncio.run(main())
    if expected == "InternalServerError" and scheme == "https":
        expected = "ProxyError"  # it refused CONNECT, so that the server was never asked
    assert (found.error_type, found.status_code) == (expected, int(status[:3]))


def test_a_reset_is_a_connection_error(server: FakeOpenAI) -> None:
    found = failure(server, Reply(reset=True))
    assert (found.error_type, found.status_code) == ("APIConnectionError", None)


def test_nobody_listening_is_a_connection_error_that_says_so() -> None:
    with pytest.raises(errors.EndpointUnreachableError, match="ClientConnectorError"):
        asyncio.run(send("http://127.0.0.1:9/v1"))
