"""Questions and answers of Chat Completions: a question is sent as it was given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lm_eval_so.runner.backends.http.numbers import whole_number
from lm_eval_so.runner.backends.openai.answer import AnswerReader
from lm_eval_so.runner.backends.openai.completion import AnswerOptions, parse_completion
from lm_eval_so.runner.config.identity import sent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lm_eval_so.runner.models import ChatResponse, Message, RunRequest


class ChatWire:
    """See `Wire`.

    Args:
        fixed: The model and the parameters of the run, none of them None.
        counts_tokens: Whether a stream is asked for its usage.
        think_tags: Whether reasoning stands in the text, between ``<think>`` tags.
    """

    problem = AnswerReader.problem

    def __init__(
        self, fixed: Mapping[str, Any], *, counts_tokens: bool = True, think_tags: bool = False
    ) -> None:
        self._fixed = dict(fixed)
        self.streams = fixed.get("stream") is True
        if self.streams and counts_tokens:
            self._fixed["stream_options"] = {"include_usage": True}
        self._reading = AnswerOptions(
            choices=whole_number(fixed.get("n")) or 1, think_tags=think_tags
        )

    def body(self, request: RunRequest) -> dict[str, Any]:
        fixed = self._fixed
        if request.repeat:  # its seed is another
            fixed = {**fixed, **sent(request.run_config.parameters)}
        return {**fixed, **request.parameters, "messages": request.messages}

    def examine(self, messages: Sequence[Message], parameters: Mapping[str, Any]) -> None:
        """Everything has its place."""

    def reader(self) -> AnswerReader:
        return AnswerReader(self._reading)

    def response(
        self, answer: object, status_code: int, headers: Mapping[str, str]
    ) -> ChatResponse:
        think_tags = self._reading.think_tags
        return parse_completion(answer, status_code, headers, think_tags=think_tags)
