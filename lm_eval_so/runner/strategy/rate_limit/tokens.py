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
    """Tokens of a question by the bytes of its messages, and tokens per answer, of one run.

    A question's tokens are a line over its bytes, by weighted least squares: templates add the same
    to each. What few answers, or questions of one length, cannot tell is taken from tokens per
    byte.

    The budget and the limit on tokens read the same estimate. Only `Spending` teaches it, which
    sees each answer once.

    Args:
        parameters: Those of the run; ``max_tokens`` is the estimate until an answer came.
    """

    def __init__(self, parameters: Mapping[str, Any]) -> None:
        given = (parameters.get(name) for name in _MOST_OUTPUT)
        most = next((value for value in given if value), None)
        self._output = float(most) if isinstance(most, int) else _FIRST_OUTPUT
        self._line = _Line()
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
        return self._line.at(size), self._output

    def learn(self, size: int, usage: TokenUsage) -> None:
        """Learns from what an answer took."""
        if usage.input:
            self._line.learn(size, usage.input)
        if usage.output is not None:
            if not self._learned_output:
                self._learned_output, self._output = True, float(usage.output)
            self._output = self._output * _MEMORY + usage.output * (1 - _MEMORY)


class _Line:
    """Tokens over bytes; what is older weighs less."""

    def __init__(self) -> None:
        self._weight = self._size = self._tokens = 0.0  # sums
        self._size_squared = self._product = 0.0

    def learn(self, size: int, tokens: int) -> None:
        self._weight = self._weight * _MEMORY + 1
        self._size = self._size * _MEMORY + size
        self._tokens = self._tokens * _MEMORY + tokens
        self._size_squared = self._size_squared * _MEMORY + size * size
        self._product = self._product * _MEMORY + size * tokens

    def at(self, size: int) -> float:
        if not self._size:
            return size * _FIRST_PER_BYTE
        mean_size, mean_tokens = self._size / self._weight, self._tokens / self._weight
        variance = self._size_squared / self._weight - mean_size * mean_size
        covariance = self._product / self._weight - mean_size * mean_tokens
        doubt = mean_size * mean_size / self._weight  # weight of tokens per byte as the slope
        slope = (covariance + doubt * mean_tokens / mean_size) / (max(variance, 0.0) + doubt)
        return max(mean_tokens + max(slope, 0.0) * (size - mean_size), 0.0)


def believable(usage: TokenUsage | None) -> TokenUsage | None:
    """The usage, where it gives at least one count and no impossible one; else None."""
    if usage is None:
        return None
    counts = [n for n in (usage.input, usage.output, usage.total) if n is not None]
    return usage if counts and all(0 <= n <= _MOST_TOKENS for n in counts) else None
