"""Estimates the tokens of a request, and learns from the answers; no tokenizer is needed."""

from collections.abc import Mapping
from typing import Any

import orjson

from lm_eval_so.runner.models import RunRequest, TokenUsage

_FIRST_PER_BYTE = 0.25  # English text; others are learned
_FIRST_OUTPUT = 256.0
_MOST_OUTPUT = ("max_completion_tokens", "max_tokens", "max_output_tokens")
_MEMORY = 0.98  # weight of what is known when an answer adds to it
_MOST_TOKENS = 10**12  # of one answer; a larger count is no count


class TokenEstimate:
    """Tokens per byte of messages, and tokens per answer, of one run.

    The budget and the limit on tokens read the same estimate. Only `Spending` teaches it, which
    sees each answer once.

    Args:
        parameters: Those of the run; ``max_tokens`` is the estimate until an answer came.
    """

    def __init__(self, parameters: Mapping[str, Any]) -> None:
        given = (parameters.get(name) for name in _MOST_OUTPUT)
        most = next((value for value in given if value), None)
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
        """Tokens that a request of ``size`` bytes and its answer take together; 0 of nothing."""
        return sum(self.parts(size)) if size else 0.0

    def parts(self, size: int) -> tuple[float, float]:
        """Tokens of a request of ``size`` bytes, and of its answer."""
        per_byte = self._tokens / self._bytes if self._bytes else _FIRST_PER_BYTE
        return size * per_byte, self._output

    def learn(self, size: int, usage: TokenUsage) -> None:
        """Learns from what an answer took."""
        if usage.input:
            self._tokens = self._tokens * _MEMORY + usage.input
            self._bytes = self._bytes * _MEMORY + size
        if usage.output is not None:
            if not self._learned_output:
                self._learned_output, self._output = True, float(usage.output)
            self._output = self._output * _MEMORY + usage.output * (1 - _MEMORY)


def believable(usage: TokenUsage | None) -> TokenUsage | None:
    """The usage, where it gives at least one count and no impossible one; else None."""
    if usage is None:
        return None
    counts = [n for n in (usage.input, usage.output, usage.total) if n is not None]
    return usage if counts and all(0 <= n <= _MOST_TOKENS for n in counts) else None
