"""Answers that are spoiled on their way: each is an answer or a BackendError, and nothing else."""

from __future__ import annotations

import re
from random import Random
from typing import TYPE_CHECKING

import pytest

from lm_eval_so.runner.backends.anthropic.wire import MessagesWire
from lm_eval_so.runner.backends.openai.responses.wire import ResponsesWire
from lm_eval_so.runner.backends.wires.ask import as_response, read_whole
from lm_eval_so.runner.errors import BackendError
from support import message_bodies, response_bodies
from support.mutate import Answer, change_bytes, change_part, cut, in_pieces

if TYPE_CHECKING:
    from lm_eval_so.runner.backends.wires.wire import Wire
    from lm_eval_so.runner.models import ChatResponse

TEXT = "it is raining"
WIRES: dict[str, tuple[Wire, Answer]] = {
    "messages": (
        MessagesWire({"max_tokens": 1}),
        Answer(TEXT, [message_bodies.WHOLE], streamed=False),
    ),
    "messages, streamed": (
        MessagesWire({"max_tokens": 1}),
        Answer(TEXT, message_bodies.events(message_bodies.WHOLE), streamed=True),
    ),
    "responses": (ResponsesWire({}), Answer(TEXT, [response_bodies.WHOLE], streamed=False)),
    "responses, streamed": (
        ResponsesWire({}),
        Answer(TEXT, response_bodies.events(response_bodies.WHOLE), streamed=True),
    ),
}
PYTHON = re.compile(r"\b[A-Z][a-z]\w*(Error|Exception)\b")
"""An exception's name, which tells nobody what was wrong with an answer."""
every_wire = pytest.mark.parametrize(("wire", "answer"), WIRES.values(), ids=WIRES)


def read(chance: Random, wire: Wire, body: bytes) -> ChatResponse:
    """What a backend makes of a body, asked for as a stream or not."""
    if chance.random() < 0.5:
        return read_whole(wire, body, 200, {})
    reader = wire.reader()
    for piece in in_pieces(chance, body):
        reader.feed(piece, 1.0)
        if reader.done:
            break
    return as_response(wire, reader.completion(), 200, {})


@every_wire
def test_answers_that_nothing_happened_to_are_read_whole(wire: Wire, answer: Answer) -> None:
    for seed in range(20):
        assert read(Random(seed), wire, answer.body()).text == TEXT


@every_wire
def test_whatever_comes_is_an_answer_or_an_error_of_ours(wire: Wire, answer: Answer) -> None:
    answered = 0
    for seed in range(1500):
        chance = Random(seed)
        body = chance.choice((change_part, change_bytes, cut))(chance, answer)
        try:
            read(chance, wire, body)
            answered += 1
        except BackendError as error:
            words = error.message and not PYTHON.search(error.message)
            assert words, (seed, error)  # noqa: PT017 - a failure is as right as an answer
    assert 0 < answered < 1500
