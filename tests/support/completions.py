"""Answers of Chat Completions, read as the ``openai`` backend reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lm_eval_so.runner.backends.openai.chat import ChatWire
from lm_eval_so.runner.backends.openai.completion import AnswerOptions
from lm_eval_so.runner.backends.wires import ask

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lm_eval_so.runner.models import ChatResponse

_PLAIN = AnswerOptions()


def _wire(options: AnswerOptions) -> ChatWire:
    return ChatWire({"n": options.choices}, think_tags=options.think_tags)


def read_answer(
    body: bytes, status_code: int, headers: Mapping[str, str], options: AnswerOptions = _PLAIN
) -> ChatResponse:
    return ask.read_whole(_wire(options), body, status_code, headers)


def as_response(
    completion: object,
    status_code: int,
    headers: Mapping[str, str],
    options: AnswerOptions = _PLAIN,
) -> ChatResponse:
    return ask.as_response(_wire(options), completion, status_code, headers)
