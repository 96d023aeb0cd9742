"""Questions and answers of the Messages API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lm_eval_so.runner.backends.anthropic.answer import parse_message
from lm_eval_so.runner.backends.anthropic.messages import conversation
from lm_eval_so.runner.backends.anthropic.parameters import message_parameters
from lm_eval_so.runner.backends.anthropic.stream import MessageReader
from lm_eval_so.runner.backends.wires.conversation import NotCarriedError
from lm_eval_so.runner.config.identity import sent
from lm_eval_so.runner.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lm_eval_so.runner.models import ChatResponse, Message, RunRequest


def messages_wire(fixed: Mapping[str, Any]) -> MessagesWire:
    """The wire of a run.

    Raises:
        ConfigError: A parameter of the run has no counterpart there, or ``max_tokens`` is missing.
    """
    try:
        return MessagesWire(fixed)
    except NotCarriedError as error:
        raise ConfigError(f"backend=anthropic: {error}") from error


class MessagesWire:
    """See `Wire`.

    Args:
        fixed: The model and the parameters of the run, none of them None.

    Raises:
        NotCarriedError: A parameter has no counterpart there, or ``max_tokens`` is missing.
    """

    problem = MessageReader.problem

    def __init__(self, fixed: Mapping[str, Any]) -> None:
        self._given = fixed
        self._fixed = message_parameters(fixed)
        if "max_tokens" not in self._fixed:
            raise NotCarriedError(
                "the API needs max_tokens; set params.max_tokens or "
                "backend.options.request_defaults.max_tokens"
            )
        self.streams = fixed.get("stream") is True

    def body(self, request: RunRequest) -> dict[str, Any]:
        fixed, own = self._fixed, request.parameters
        if own or request.repeat:
            again = sent(request.run_config.parameters) if request.repeat else {}
            fixed = message_parameters({**self._given, **again, **own})
        return {**fixed, **conversation(request.messages)}

    def examine(self, messages: Sequence[Message], parameters: Mapping[str, Any]) -> None:
        message_parameters(parameters)
        conversation(messages)

    def reader(self) -> MessageReader:
        return MessageReader()

    def response(
        self, answer: object, status_code: int, headers: Mapping[str, str]
    ) -> ChatResponse:
        return parse_message(answer, status_code, headers)
