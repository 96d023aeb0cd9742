"""Messages and their streams as other servers and gateways send them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pytest

from lm_eval_so.runner.backends.anthropic.wire import MessagesWire
from lm_eval_so.runner.backends.wires.ask import read_whole
from lm_eval_so.runner.errors import BackendError, InvalidResponseError
from support.message_bodies import BLOCKS, USAGE, message, sse

if TYPE_CHECKING:
    from lm_eval_so.runner.models import ChatResponse

WIRE = MessagesWire({"model": "claude-x", "max_tokens": 5})


def read(body: bytes, **headers: str) -> ChatResponse:
    return read_whole(WIRE, body, 200, {name.replace("_", "-"): headers[name] for name in headers})


def failure(body: bytes) -> BackendError:
    with pytest.raises(BackendError) as raised:
        read(body)
    return raised.value


TEXT = {"type": "text", "text": "hello"}


@pytest.mark.parametrize(
    "content",
    ["hello", TEXT, ["hello"], ["he", None, "llo"], [{"text": "hello"}], [{**TEXT, "type": None}]],
    ids=str,
)
def test_a_text_is_read_wherever_it_stands(content: object) -> None:
    assert read(orjson.dumps(message(content=content))).text == "hello"
    begun = {"type": "message_start", "message": message(content=content)}
    assert read(sse([begun, STOPPED])).text == "hello"


@pytest.mark.parametrize(
    "content", [[5], {}, [{}], [{"name": "f"}], [{**TEXT, "text": 5}]], ids=str
)
def test_what_is_of_no_known_kind_is_told(content: object) -> None:
    error = failure(orjson.dumps(message(content=content)))
    assert isinstance(error, InvalidResponseError)
    assert error.message == "the answer is no message: it holds something that is no text"


@pytest.mark.parametrize("error", [None, {}, {"code": None, "message": None}, "", []])
@pytest.mark.parametrize("streamed", [False, True])
def test_an_empty_error_beside_an_answer_is_none(error: object, *, streamed: bool) -> None:
    body = message(TEXT, error=error)
    begun = {"type": "message_start", "message": body}
    assert read(sse([begun, STOPPED]) if streamed else orjson.dumps(body)).text == "hello"


@pytest.mark.parametrize("code", [0, "0", 200, "200", "ok", "SUCCESS"])
def test_an_error_that_says_all_is_well_beside_an_answer_is_none(code: object) -> None:
    fine = {"error": {"code": code, "message": "ok"}}
    assert read(orjson.dumps(message(TEXT, **fine))).text == "hello"
    assert failure(orjson.dumps(fine)).message == "ok"


def test_an_error_beside_an_answer_is_one() -> None:
    assert failure(orjson.dumps(message(TEXT, error="it broke"))).message == "it broke"


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("header", "told", "cost"),
    [(None, None, None), ("0.5", None, 0.5), (None, 0.25, 0.25), ("0.5", 0.25, 0.25)],
)
def test_the_cost_is_what_the_usage_tells_or_else_a_gateway(
    header: str | None, told: float | None, cost: float | None, *, streamed: bool
) -> None:
    usage = {**USAGE, "cost": told}
    body = orjson.dumps(message(TEXT, usage=usage))
    if streamed:
        body = sse([START, *block(), {**STOPPED, "usage": usage}])
    headers = {} if header is None else {"x_litellm_response_cost": header}
    assert read(body, **headers).cost_usd == cost


START = {"type": "message_start", "message": message(stop_reason=None)}
STOPPED = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}}
END = {"type": "message_stop"}
TEXT_BEGINS = {"type": "text", "text": ""}
THOUGHT_BEGINS = {"type": "thinking", "thinking": ""}
TOOL_BEGINS = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {}}


def begins(first: object, **index: int) -> dict[str, Any]:
    return {"type": "content_block_start", "content_block": first, **index}


def delta(kind: str, text: object, **index: object) -> dict[str, Any]:
    key = "partial_json" if kind == "input_json" else kind
    fields = {"type": f"{kind}_delta", key: text}
    return {"type": "content_block_delta", "delta": fields, **index}


def block(first: object = TEXT_BEGINS, index: int = 0) -> list[dict[str, Any]]:
    texts = [delta("text", text, index=index) for text in ("hel", "lo")]
    return [begins(first, index=index), *texts, {"type": "content_block_stop", "index": index}]


THOUGHT = [begins(THOUGHT_BEGINS, index=0), delta("thinking", "hm", index=0)]


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(block()[1:], id="no start"),
        pytest.param([begins(TEXT_BEGINS), delta("text", "hel"), delta("text", "lo")], id="index"),
        pytest.param([delta("text", "hel"), delta("text", "lo")], id="neither"),
        pytest.param([begins(TEXT_BEGINS, index=0), delta("text", "hello", index=1)], id="other"),
        pytest.param([begins({**TEXT_BEGINS, "text": "hel"}), delta("text", "lo")], id="begun"),
        pytest.param(block(first=None), id="null block"),
        pytest.param(block(first={}), id="empty block"),
        pytest.param(block(first={"text": ""}), id="block without type"),
        pytest.param([begins("hello", index=0)], id="a text as a block"),
        pytest.param([{"type": "content_block_start", "index": 0}, *block()[1:]], id="no block"),
        pytest.param([*THOUGHT, *block()[1:]], id="in a block of thinking"),
        pytest.param([*THOUGHT, *block()], id="two blocks with one index"),
        pytest.param(
            [
                *(begins(TEXT_BEGINS, index=0), delta("text", "hel", index=0)),
                *(begins(TEXT_BEGINS, index=0), delta("text", "lo", index=0)),
            ],
            id="two texts with one index",
        ),
        pytest.param([*block(), delta("text", None, index=0), delta("text", "", index=0)], id="0"),
    ],
)
@pytest.mark.parametrize("ends", [True, False])
def test_no_text_of_a_stream_is_lost(made: list[dict[str, Any]], *, ends: bool) -> None:
    answer = read(sse([START, *made, STOPPED, *([END] if ends else [])]))
    assert (answer.text, answer.finish_reason) == ("hello", "stop")
    assert answer.reasoning == ("hm" if THOUGHT[1] in made else None)
    assert failure(sse([START, *made])).message == "the stream ended before the answer did"


@pytest.mark.parametrize("index", [{}, {"index": 0}, {"index": 3}])
def test_a_call_needs_no_index(index: dict[str, int]) -> None:
    made = [delta("input_json", piece, **index) for piece in ('{"town":', '"Oslo"}')]
    answer = read(sse([START, begins(TOOL_BEGINS, **index), *made, STOPPED]))
    assert answer.tool_calls == read(orjson.dumps(message(BLOCKS[4]))).tool_calls


@pytest.mark.parametrize("name", ["ping", "PING", "keepalive", "keep-alive", "heartbeat"])
@pytest.mark.parametrize("data", ["ping", "", "{}", '{"type": "ping"}'])
def test_a_ping_may_hold_anything(name: str, data: str) -> None:
    ping = f"event: {name}\ndata: {data}\n\n".encode()
    assert read(sse([START]) + ping + sse([*block(), STOPPED, END])).text == "hello"


@pytest.mark.parametrize(
    "reason", [None, "", {}, {"stop_reason": None}, {"stop_sequence": "x"}], ids=str
)
def test_without_a_stop_reason_a_stream_is_cut(reason: object) -> None:
    fields = reason if isinstance(reason, dict) else {"stop_reason": reason}
    made = [{**START, "message": message()}, *block(), {"type": "message_delta", "delta": fields}]
    assert failure(sse(made)).message == "the stream ended before the answer did"
    assert failure(sse(made) + b"data: [DONE]\n\n").retryable
    assert read(sse([*made, END])).text == "hello"


def test_an_error_after_the_stop_reason_is_no_answer() -> None:
    made = sse([START, *block(), STOPPED])
    assert failure(made + b'data: {"error": {"message": "it broke"}}\n\n').message == "it broke"


@pytest.mark.parametrize(
    ("piece", "told"),
    [
        (delta("input_json", "{}", index=0), "the input of a tool that it has not named"),
        (delta("text", 5, index=0), "a delta whose text is no text"),
        (delta("text", "a", index="x"), "a content_block_delta with the index 'x'"),
        (delta("text", "a", index=-1), "a content_block_delta with the index -1"),
        ({"type": "content_block_delta", "index": 0}, "a content_block_delta without its delta"),
        ({"type": "content_block_delta", "delta": "a"}, "a content_block_delta without its delta"),
        (begins(5), "a block that is no object"),
        ({"type": "message_start", "message": [1]}, "a message_start without its message"),
        ({"type": "message_delta", "delta": "x"}, "a message_delta without its delta"),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
def test_an_event_of_no_known_kind_is_told_in_words(piece: dict[str, Any], told: str) -> None:
    error = failure(sse([START, begins(TEXT_BEGINS, index=0), piece, STOPPED, END]))
    assert isinstance(error, InvalidResponseError)
    assert error.message == f"the answer is no message: the stream holds {told}"


@pytest.mark.parametrize("usage", [5, [1], "x", None, {}])
def test_a_usage_of_no_known_kind_costs_no_answer(usage: object) -> None:
    begun = {"type": "message_start", "message": message(usage=usage)}
    answer = read(sse([begun, *block(), {**STOPPED, "usage": usage}]))
    assert (answer.text, answer.tokens) == ("hello", None)


@pytest.mark.parametrize("begun", [{}, {"message": None}])
def test_a_message_start_may_be_empty(begun: dict[str, None]) -> None:
    assert read(sse([{"type": "message_start", **begun}, *block(), STOPPED])).text == "hello"


@pytest.mark.parametrize("number", [2**64, 10**30])
def test_a_large_number_in_the_input_of_a_tool_costs_no_answer(number: int) -> None:
    tool = orjson.dumps(begins({**TOOL_BEGINS, "input": {"n": 123}})).replace(
        b"123", b"%d" % number
    )
    answer = read(sse([START]) + b"data: " + tool + b"\n\n" + sse([STOPPED]))
    assert answer.tool_calls is not None
