"""A sample's own tools and response format: on the wire, in the key, and in a resumed run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from lm_eval_so import RunConfig, run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.fake_openai import FakeOpenAI

TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
OTHER = {"type": "function", "function": {"name": "g", "parameters": {"type": "object"}}}
SCHEMA = {"type": "json_object"}


@pytest.fixture
def ask(
    server: FakeOpenAI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., list[dict[str, Any]]]:
    """Runs one sample; gives the bodies that arrived."""
    for name, value in server.env.items():
        monkeypatch.setenv(name, value)

    def ask(own: dict[str, Any], **parameters: object) -> list[dict[str, Any]]:
        sample = {"id": 1, "messages": [{"role": "user", "content": "x"}], **own}
        (tmp_path / "d.jsonl").write_text(json.dumps(sample))
        before = len(server.requests)
        config = RunConfig(backend="openai", model="m", parameters=parameters)
        run(tmp_path / "d.jsonl", config)
        return [received.body for received in server.requests[before:]]

    return ask


def test_they_are_sent_with_the_sample(ask: Callable[..., list[dict[str, Any]]]) -> None:
    (body,) = ask({"tools": [TOOL], "tool_choice": "required", "response_format": SCHEMA})
    assert (body["tools"], body["tool_choice"]) == ([TOOL], "required")
    assert body["response_format"] == SCHEMA


def test_they_take_the_place_of_the_configs(ask: Callable[..., list[dict[str, Any]]]) -> None:
    (body,) = ask({"tools": [TOOL]}, tools=[OTHER], temperature=0)
    assert (body["tools"], body["temperature"]) == ([TOOL], 0)


def test_they_are_streamed_too(ask: Callable[..., list[dict[str, Any]]]) -> None:
    (body,) = ask({"tools": [TOOL]}, stream=True)
    assert (body["tools"], body["stream"]) == ([TOOL], True)


def test_other_tools_are_another_question_and_the_same_ones_are_not(
    ask: Callable[..., list[dict[str, Any]]],
) -> None:
    assert len(ask({"tools": [TOOL]})) == 1
    assert ask({"tools": [TOOL]}) == []
    assert len(ask({"tools": [OTHER]})) == 1
    assert len(ask({})) == 1
    assert ask({"tools": []}) == []


def test_an_id_that_becomes_a_text_is_not_asked_again(
    ask: Callable[..., list[dict[str, Any]]],
) -> None:
    assert len(ask({"id": 1})) == 1
    assert ask({"id": "1"}) == []
