"""One request through the transport, and its answer read."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

import orjson

from lm_eval_so.runner.backends.http.error_response import from_status
from lm_eval_so.runner.backends.http.json_body import read_json
from lm_eval_so.runner.backends.http.sse import is_event_stream
from lm_eval_so.runner.backends.wires.conversation import NotCarriedError
from lm_eval_so.runner.backends.wires.stream import unreadable
from lm_eval_so.runner.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lm_eval_so.runner.backends.http.pool import Pool
    from lm_eval_so.runner.backends.http.transport import Transport
    from lm_eval_so.runner.backends.wires.wire import Wire
    from lm_eval_so.runner.models import ChatResponse, RunRequest

_LONGEST_START = 100  # bytes, blank ones included


class Content(NamedTuple):
    """What is sent with one request: JSON, and headers of its own."""

    body: bytes
    headers: Mapping[str, str]


def content_of(wire: Wire, request: RunRequest, headers: Mapping[str, str]) -> Content:
    """What is sent for a request.

    Raises:
        BackendError: A message has no place on the wire, which no check of the dataset has told.
    """
    try:
        body = wire.body(request)
    except NotCarriedError as error:
        raise BackendError(str(error), retryable=False, sample_fault=True) from error
    return Content(orjson.dumps(body), headers)


async def ask(
    transport: Transport | Pool, wire: Wire, content: Content, resent: Callable[[], None]
) -> ChatResponse:
    """Sends a request and reads its answer; a streamed one has its times to the first token.

    Args:
        transport: Opened; a pool has several replicas behind it.
        wire: Reads the answer.
        content: What is sent.
        resent: Called when the request is sent again.

    Raises:
        BackendError: There is no answer.
    """
    if wire.streams:
        return await _streamed(transport, wire, content, resent)
    answer = await transport.post(content.body, content.headers, resent)
    if not answer.ok:
        raise from_status(*answer)
    return read_whole(wire, answer.body, answer.status, answer.headers)


def read_whole(
    wire: Wire, body: bytes, status_code: int, headers: Mapping[str, str]
) -> ChatResponse:
    """The answer in a body that was read to its end.

    Raises:
        BackendError: It is no answer, or tells of an error.
    """
    if is_event_stream(body[:_LONGEST_START]):
        reader = wire.reader()
        reader.feed(body, 0.0)
        return as_response(wire, reader.completion(), status_code, headers)
    return as_response(wire, read_json(body, wire.problem), status_code, headers)


async def _streamed(
    transport: Transport | Pool, wire: Wire, content: Content, resent: Callable[[], None]
) -> ChatResponse:
    started = perf_counter()
    reader = wire.reader()
    async with transport.stream(content.body, content.headers, resent) as stream:
        if not stream.ok:
            raise from_status(*await stream.whole())
        async for piece in stream.pieces():
            reader.feed(piece, (perf_counter() - started) * 1000)
            if reader.done:
                break
    response = as_response(wire, reader.completion(), stream.status, stream.headers)
    return response.model_copy(
        update={
            "time_to_first_token_ms": reader.time_to_first_token_ms,
            "time_to_first_answer_token_ms": reader.time_to_first_answer_token_ms,
        }
    )


def as_response(
    wire: Wire, answer: object, status_code: int, headers: Mapping[str, str]
) -> ChatResponse:
    """A whole answer as a value.

    Raises:
        BackendError: It is none, or tells of an error.
    """
    try:  # not `as_invalid`, which costs as much as the parsing
        return wire.response(answer, status_code, headers)
    except BackendError:
        raise
    except Exception as error:
        raise unreadable(error) from error
