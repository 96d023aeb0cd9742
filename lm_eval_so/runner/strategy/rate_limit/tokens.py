"""How many tokens a request will take, learned from the answers; no tokenizer is needed."""

from collections.abc import Mapping
from typing import Any

import orjson

from lm_eval_so.runner.models import RunRequest, TokenUsage

_FIRST_PER_BYTE = 0.25  # English text; others are learned
_FIRST_OUTPUT = 256.0
_MEMORY = 0.98  # weight of what is known when an answer adds to it


class TokenEstimate:
    """Tokens per byte of messages, and tokens per answer, of one run.

    Args:
        parameters: Those of the run; the most an answer can take is among them, or not.
    """

    def __init__(self, parameters: Mapping[str, Any]) -> None:
        most = parameters.get("max_completion_tokens") or parameters.get("max_tokens")
        self._output = float(most) if isinstance(most, int) else _FIRST_OUTPUT
        self._tokens = self._bytes = 0.0
        self._learned_output = False

    @staticmethod
    def size(request: RunRequest) -> int:
        """Bytes of the messages and of the tools that the sample brings, as JSON."""
        size = len(orjson.dumps(request.messages))
        own = request.parameters
        return size + len(orjson.dumps(own)) if own else size

    def of(self, size: int) -> float:
        """Tokens that a request of ``size`` bytes and its answer take; 0 of nothing."""
        return sum(self.parts(size)) if size else 0.0

    def parts(self, size: int) -> tuple[float, float]:
        """Tokens of a request of ``size`` bytes, and of its answer."""
        per_byte = self._tokens / self._bytes if self._bytes else _FIRST_PER_BYTE
        return size * per_byte, self._output

    def learn(self, size: int, usage: TokenUsage) -> None:
        """Takes in what an answer took."""
        if usage.input:
            self._tokens = self._tokens * _MEMORY + usage.input
            self._bytes = self._bytes * _MEMORY + size
        if usage.output is not None:
            if not self._learned_output:
                self._learned_output, self._output = True, float(usage.output)
            self._output = self._output * _MEMORY + usage.output * (1 - _MEMORY)
