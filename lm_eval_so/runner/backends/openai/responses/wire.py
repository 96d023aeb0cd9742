"""Questions and answers of the Responses API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lm_eval_so.runner.backends.openai.responses.answer import parse_response
from lm_eval_so.runner.backends.openai.responses.messages import WIRE, input_items
from lm_eval_so.runner.backends.openai.responses.parameters import WRITERS
from lm_eval_so.runner.backends.openai.responses.stream import ResponseReader
from lm_eval_so.runner.backends.wires.conversation import NotCarriedError
from lm_eval_so.runner.backends.wires.parameters import translated
from lm_eval_so.runner.config.identity import sent
from lm_eval_so.runner.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lm_eval_so.runner.models import ChatResponse, Message, RunRequest


def responses_wire(fixed: Mapping[str, Any]) -> ResponsesWire:
    """The wire of a run.

    Raises:
        ConfigError: A parameter of the run has no counterpart there.
    """
    try:
        return ResponsesWire(fixed)
    except NotCarriedError as error:
        raise ConfigError(f"backend.options.wire=responses: {error}") from error


class ResponsesWire:
    """See `Wire`.

    Args:
        fixed: The model and the parameters of the run, none of them None.

    Raises:
        NotCarriedError: A parameter has no counterpart there.
    """

    problem = ResponseReader.problem

    def __init__(self, fixed: Mapping[str, Any]) -> None:
        self._given = fixed
        self._fixed = translated(fixed, WRITERS, WIRE)
        self.streams = fixed.get("stream") is True

    def body(self, request: RunRequest) -> dict[str, Any]:
        fixed, own = self._fixed, request.parameters
        if own or request.repeat:
            again = sent(request.run_config.parameters) if request.repeat else {}
            fixed = translated({**self._given, **again, **own}, WRITERS, WIRE)
        return {**fixed, "input": input_items(request.messages)}

    def examine(self, messages: Sequence[Message], parameters: Mapping[str, Any]) -> None:
        translated(parameters, WRITERS, WIRE)
        input_items(messages)

    def reader(self) -> ResponseReader:
        return ResponseReader()

    def response(
        self, answer: object, status_code: int, headers: Mapping[str, str]
    ) -> ChatResponse:
        return parse_response(answer, status_code, headers)
