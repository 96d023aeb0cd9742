"""What stands beside the text of an answer: reasoning, tool calls, refusals, other choices."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from lm_eval_so.runner.backends.openai.answer import AnswerReader
from lm_eval_so.runner.backends.openai.completion import AnswerOptions
from lm_eval_so.runner.backends.openai.thoughts import split_thoughts
from lm_eval_so.runner.backends.openai.usage import token_usage
from support.completions import as_response, read_answer

if TYPE_CHECKING:
    from lm_eval_so.runner.models import ChatResponse

CALL = {"id": "c1", "type": "function", "function": {"name": "look_up", "arguments": "{}"}}


def body(*messages: dict[str, Any], **more: Any) -> bytes:  # noqa: ANN401 - JSON
    choices = [
        {"index": index, "finish_reason": "stop", "message": {"role": "assistant", **message}}
        for index, message in enumerate(messages)
    ]
    return json.dumps({"choices": choices, **more}).encode()


def answer(*messages: dict[str, Any], think_tags: bool = False, **more: Any) -> ChatResponse:  # noqa: ANN401 - JSON
    return read_answer(body(*messages, **more), 200, {}, AnswerOptions(think_tags=think_tags))


@pytest.mark.parametrize(
    "message",
    [
        {"content": "42", "reasoning_content": "six times seven"},
        {"content": "42", "reasoning": "six times seven"},
        {"content": [{"type": "thinking", "thinking": "six times seven"}, "42"]},
        {
            "content": [
                {"type": "thinking", "thinking": [{"type": "text", "text": "six times seven"}]},
                {"type": "text", "text": "42"},
            ]
        },
    ],
    ids=["deepseek", "openrouter", "mistral", "mistral-parts"],
)
def test_reasoning_is_kept_apart_from_the_text(message: dict[str, Any]) -> None:
    found = answer(message)
    assert (found.text, found.reasoning) == ("42", "six times seven")


@pytest.mark.parametrize(
    ("text", "reasoning", "rest"),
    [
        ("<think>\nhm\n</think>\n\n42", "hm", "42"),
        ("hm</think>42", "hm", "42"),
        ("  <think>hm", "hm", ""),
        ("<think></think>42", None, "42"),
        ("42", None, "42"),
        ("a <think> in the middle", None, "a <think> in the middle"),
        ("", None, ""),
    ],
    ids=["usual", "begun-by-the-template", "cut", "empty", "none", "within", "nothing"],
)
def test_thoughts_between_tags_are_reasoning(text: str, reasoning: str | None, rest: str) -> None:
    assert split_thoughts(text) == (reasoning, rest)


def test_tags_are_text_unless_the_option_says_otherwise() -> None:
    message = {"content": "<think>hm</think>42"}
    assert answer(message).text == "<think>hm</think>42"
    found = answer(message, think_tags=True)
    assert (found.text, found.reasoning) == ("42", "hm")


def test_tool_calls_are_kept_also_in_the_older_form() -> None:
    assert answer({"content": None, "tool_calls": [CALL]}).tool_calls == [CALL]
    older = answer({"content": None, "function_call": CALL["function"]})
    assert older.tool_calls == [{"type": "function", "function": CALL["function"]}]
    assert older.text == ""


@pytest.mark.parametrize(
    "message",
    [
        {"content": "hi", "tool_calls": "none"},
        {"content": "hi", "tool_calls": [1, None, "x"]},
        {"content": "hi", "tool_calls": []},
        {"content": "hi", "reasoning": {"tokens": 3}},
        {"content": "hi", "reasoning_content": 7},
        {"content": "hi", "refusal": ["no"]},
        {"content": "hi", "refusal": ""},
    ],
    ids=str,
)
def test_what_is_of_no_known_shape_costs_no_answer(message: dict[str, Any]) -> None:
    found = answer(message)
    assert (found.text, found.reasoning, found.tool_calls, found.refusal) == (
        "hi",
        None,
        None,
        None,
    )
    assert found.raw["choices"][0]["message"].items() >= message.items()


def test_a_refusal_is_known_as_one_and_is_what_a_person_reads() -> None:
    found = answer({"content": None, "refusal": "I cannot."})
    assert (found.text, found.refusal) == ("I cannot.", "I cannot.")


def test_all_choices_are_kept_where_there_are_several() -> None:
    found = answer({"content": "a"}, {"content": "b", "reasoning": "r"}, {"tool_calls": [CALL]})
    assert found.text == "a"
    assert found.choices is not None
    assert [choice.text for choice in found.choices] == ["a", "b", ""]
    assert found.choices[1].reasoning == "r"
    assert found.choices[2].tool_calls == [CALL]
    assert answer({"content": "a"}).choices is None


def test_what_is_not_there_takes_no_room_in_a_line() -> None:
    written = json.loads(answer({"content": "a"}).model_dump_json())
    assert written.keys() == {
        *("text", "finish_reason", "status_code", "tokens", "model", "request_id", "raw")
    }


@pytest.mark.parametrize(
    ("usage", "cached", "reasoning", "output"),
    [
        ({"prompt_tokens_details": {"cached_tokens": 8}}, 8, None, 5),
        ({"prompt_cache_hit_tokens": 8, "prompt_cache_miss_tokens": 2}, 8, None, 5),
        ({"cache_read_input_tokens": "8"}, 8, None, 5),
        ({"cached_tokens": 8.0}, 8, None, 5),
        ({"completion_tokens_details": {"reasoning_tokens": 4}}, None, 4, 5),
        ({"reasoning_tokens": 4}, None, 4, 5),
        ({"completion_tokens_details": {"reasoning_tokens": 4}, "total_tokens": 19}, None, 4, 9),
        ({"prompt_tokens_details": None, "completion_tokens_details": 3}, None, None, 5),
        ({"prompt_tokens_details": {"cached_tokens": None}}, None, None, 5),
    ],
    ids=[
        *("openai", "deepseek", "anthropic", "moonshot", "reasoning", "perplexity"),
        *("reasoning-beside-the-answer", "no-details", "null"),
    ],
)
def test_cached_and_reasoning_tokens_are_found_where_servers_put_them(
    usage: dict[str, Any], cached: int | None, reasoning: int | None, output: int
) -> None:
    found = token_usage({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15} | usage)
    assert found is not None
    assert (found.input, found.cached, found.reasoning, found.output) == (
        *(10, cached, reasoning, output),
    )


def streamed(*deltas: dict[str, Any], think_tags: bool = False) -> tuple[ChatResponse, Any]:
    """The answer, and its reader; each delta comes a second after the one before."""
    reader = AnswerReader(AnswerOptions(think_tags=think_tags))
    for second, delta in enumerate(deltas, start=1):
        chunk = {"choices": [{"index": 0, "delta": delta}]}
        reader.feed(b"data: " + json.dumps(chunk).encode() + b"\n\n", second * 1000.0)
    last = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    reader.feed(b"data: " + json.dumps(last).encode() + b"\n\ndata: [DONE]\n\n", 9000.0)
    options = AnswerOptions(think_tags=think_tags)
    return as_response(reader.completion(), 200, {}, options), reader


def test_a_stream_has_a_first_token_and_a_first_token_of_its_answer() -> None:
    role, thought, text = (
        {"role": "assistant", "content": ""},
        {"reasoning": "hm"},
        {"content": "4"},
    )
    found, reader = streamed(role, thought, thought, text, text)
    assert (found.text, found.reasoning) == ("44", "hmhm")
    assert reader.time_to_first_token_ms == 2000
    assert reader.time_to_first_answer_token_ms == 4000


def test_the_first_token_of_an_answer_is_behind_the_tags() -> None:
    pieces = [{"content": text} for text in ("<think>", "hm", "</thi", "nk>", "\n", "4")]
    found, reader = streamed(*pieces, think_tags=True)
    assert (found.text, found.reasoning) == ("4", "hm")
    assert reader.time_to_first_token_ms == 1000
    assert reader.time_to_first_answer_token_ms == 6000


def test_a_stream_of_nothing_but_reasoning_has_no_first_token_of_an_answer() -> None:
    _, reader = streamed({"reasoning_content": "hm"})
    assert reader.time_to_first_token_ms == 1000
    assert reader.time_to_first_answer_token_ms is None


def test_a_tool_call_is_an_answer() -> None:
    _, reader = streamed({"reasoning": "hm"}, {"tool_calls": [{"index": 0, **CALL}]})
    assert reader.time_to_first_answer_token_ms == 2000
