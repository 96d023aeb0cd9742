"""Responses and their streams as other servers and gateways send them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pytest

from lm_eval_so.runner.backends.openai.responses.wire import ResponsesWire
from lm_eval_so.runner.backends.wires.ask import read_whole
from lm_eval_so.runner.errors import BackendError, InvalidResponseError
from support.message_bodies import sse
from support.response_bodies import CALL, THOUGHTS, WHOLE, events, response, said

if TYPE_CHECKING:
    from lm_eval_so.runner.models import ChatResponse

WIRE = ResponsesWire({"model": "gpt-x"})


def read(body: bytes) -> ChatResponse:
    return read_whole(WIRE, body, 200, {})


def failure(body: bytes) -> BackendError:
    with pytest.raises(BackendError) as raised:
        read(body)
    return raised.value


def message(content: object, **more: object) -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "content": content, **more}


PART = {"type": "output_text", "text": "hello"}


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(response(message("hello")), id="a text"),
        pytest.param(response(message([{"type": "text", "text": "hello"}])), id="text"),
        pytest.param(response(message([{"text": "hello"}])), id="no type"),
        pytest.param(response(message([{"type": None, "text": "hello"}])), id="null type"),
        pytest.param(response(message(PART)), id="one part"),
        pytest.param(response(message(["he", None, "llo"])), id="texts"),
        pytest.param(response(message([{**PART, "text": {"value": "hello"}}])), id="value"),
        pytest.param(response({"role": "assistant", "content": [PART]}), id="item without type"),
        pytest.param(response(message([PART], type=None)), id="item of null type"),
        pytest.param(response(PART), id="a part as an item"),
        pytest.param({**response(), "output": ["hello"]}, id="a text as an item"),
        pytest.param(response(output_text="hello"), id="output_text alone"),
        pytest.param({"output": None, "output_text": "hello"}, id="no output"),
        pytest.param({"output_text": "hello"}, id="output_text and nothing else"),
        pytest.param(response(said("hel", "lo"), output_text="hello"), id="both"),
        pytest.param(response(THOUGHTS, output_text="hello"), id="reasoning and output_text"),
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
def test_a_text_is_read_wherever_it_stands(body: dict[str, Any], *, streamed: bool) -> None:
    last = sse([{"type": "response.completed", "response": body}])
    assert read(last if streamed else orjson.dumps(body)).text == "hello"


def test_a_refusal_is_read_where_its_item_has_no_type() -> None:
    item = {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]}
    assert read(orjson.dumps(response(item))).refusal == "no"


@pytest.mark.parametrize(
    "output",
    [[5], [{}], [{"name": "f"}], [message(5)], [message([5])], [message([{**PART, "text": 5}])]],
    ids=str,
)
def test_what_is_of_no_known_kind_is_told(output: list[Any]) -> None:
    error = failure(orjson.dumps({**response(), "output": output}))
    assert isinstance(error, InvalidResponseError)
    assert error.message == "the answer is no response: it holds something that is no text"


@pytest.mark.parametrize("code", [0, "0", 200, "200", "ok", "SUCCESS"])
@pytest.mark.parametrize("streamed", [False, True])
def test_an_error_that_says_all_is_well_beside_an_answer_is_none(
    code: object, *, streamed: bool
) -> None:
    body = response(said("hello"), error={"code": code, "message": "ok"})
    assert read(sse(events(body)) if streamed else orjson.dumps(body)).text == "hello"
    assert failure(orjson.dumps({"error": {"code": code, "message": "ok"}})).message == "ok"


DELTA = "response.output_text.delta"
BEGUN = {"type": "response.created", "response": response(status="in_progress", usage=None)}


def delta(text: object, kind: str = DELTA, **more: object) -> dict[str, Any]:
    return {"type": kind, "output_index": 0, "content_index": 0, "delta": text, **more}


def end(*output: dict[str, Any], kind: str = "completed", **more: Any) -> dict[str, Any]:  # noqa: ANN401 - any
    return {"type": f"response.{kind}", "response": response(*output, **more)}


TEXT_DONE = {"type": "response.output_text.done", "output_index": 0, "text": "hello"}


@pytest.mark.parametrize(
    "made",
    [
        pytest.param([delta("hel"), delta("lo"), end()], id="deltas"),
        pytest.param([TEXT_DONE, end()], id="done"),
        pytest.param(
            [delta("hel"), delta("lo"), {**TEXT_DONE, "content_index": 0}, end()], id="both"
        ),
        pytest.param([delta("hello"), {**TEXT_DONE, "text": None}, end()], id="empty done"),
        pytest.param([delta("hel", content_index=1), delta("lo", content_index=2), end()], id="2"),
        pytest.param([{"type": DELTA, "delta": "hello"}, end()], id="no indexes"),
        pytest.param([delta({"text": "hello"}), end()], id="an object"),
        pytest.param([delta("hello"), end(message([]))], id="an empty message"),
        pytest.param([delta("hello", output_index=1), end(THOUGHTS)], id="only the reasoning"),
        pytest.param([delta("hel"), delta("lo"), end(said("hello"))], id="repeated"),
        pytest.param([delta("hel", output_index=3), end(said("hello"))], id="at another index"),
        pytest.param([delta("hello"), end(output=None)], id="null output"),
        pytest.param([delta("hello"), {"type": "response.completed", "response": None}], id="null"),
        pytest.param([delta("hello"), {"type": "response.completed"}], id="no response"),
    ],
)
def test_the_deltas_stand_where_the_final_response_has_no_text(made: list[dict[str, Any]]) -> None:
    answer = read(sse([BEGUN, *made]))
    assert (answer.text, answer.finish_reason) == ("hello", "stop")
    assert answer.model == "gpt-x-2026"
    assert failure(sse([BEGUN, *made[:-1]])).message == "the stream ended before the answer did"


def test_a_refusal_and_the_reasoning_stand_likewise() -> None:
    made = [
        delta("hm", "response.reasoning_summary_text.delta", summary_index=0),
        delta("so", "response.reasoning_summary_text.delta", summary_index=1),
        delta("n", "response.refusal.delta", output_index=1),
        delta("o", "response.refusal.delta", output_index=1),
    ]
    answer = read(sse([BEGUN, *made, end()]))
    assert (answer.text, answer.refusal, answer.reasoning) == ("no", "no", "hm\n\nso")


@pytest.mark.parametrize(
    ("item", "kind"),
    [
        (CALL, "response.function_call_arguments"),
        (
            {"type": "custom_tool_call", "call_id": "call_1", "name": "weather", "input": "x"},
            "response.custom_tool_call_input",
        ),
    ],
    ids=["function", "custom"],
)
@pytest.mark.parametrize("with_arguments", [False, True])
def test_a_call_stands_likewise(item: dict[str, Any], kind: str, *, with_arguments: bool) -> None:
    place = "arguments" if "arguments" in item else "input"
    first = item if with_arguments else {**item, place: ""}
    added = {"type": "response.output_item.added", "output_index": 0, "item": first}
    pieces = [delta(letter, f"{kind}.delta") for letter in item[place]]
    answer = read(sse([BEGUN, added, *pieces, end()]))
    assert answer.tool_calls == read(orjson.dumps(response(item))).tool_calls
    assert answer.finish_reason == "tool_calls"


def test_items_that_are_done_win_over_their_deltas() -> None:
    assert read(sse(events(WHOLE, repeats_output=False))).raw == WHOLE


@pytest.mark.parametrize("status", ["completed", "in_progress", None])
def test_the_last_event_may_be_named_done(status: str | None) -> None:
    answer = read(sse([BEGUN, delta("hello"), end(said("hello"), kind="done", status=status)]))
    assert (answer.text, answer.finish_reason) == ("hello", "stop")


@pytest.mark.parametrize("kind", ["completed", "done", "incomplete"])
def test_an_incomplete_response_is_one_under_each_name(kind: str) -> None:
    details = {"reason": "max_output_tokens"}
    last = end(kind=kind, status="incomplete", incomplete_details=details)
    assert read(sse([BEGUN, delta("he"), last])).finish_reason == "length"


@pytest.mark.parametrize("kind", ["completed", "done", "failed"])
def test_deltas_of_a_response_that_failed_are_no_answer(kind: str) -> None:
    last = end(kind=kind, status="failed", error={"code": "server_error", "message": "it broke"})
    assert failure(sse([BEGUN, delta("he"), last])).message == "it broke"


@pytest.mark.parametrize("error", [None, {}])
def test_a_failed_event_needs_no_status(error: object) -> None:
    last = {"type": "response.failed", "response": {"id": "resp_1", "error": error}}
    assert failure(sse([BEGUN, delta("he"), last])).message == (
        "the answer was given up by the server (status 'failed')"
    )


@pytest.mark.parametrize("name", ["ping", "keepalive"])
def test_a_ping_may_hold_anything(name: str) -> None:
    ping = f"event: {name}\ndata: {name}\n\n".encode()
    assert read(sse([BEGUN]) + ping + sse([delta("hello"), end()])).text == "hello"


def test_an_error_without_a_type_in_a_stream_is_told() -> None:
    error = failure(sse([BEGUN, delta("he")]) + b'data: {"error": {"message": "it broke"}}\n\n')
    assert error.message == "it broke"


@pytest.mark.parametrize("response", [None, [1], "text"])
def test_an_end_without_anything_is_no_answer(response: object) -> None:
    assert failure(sse([{"type": "response.completed", "response": response}])).message == (
        "the answer is no response: the last event of the stream holds none"
    )
