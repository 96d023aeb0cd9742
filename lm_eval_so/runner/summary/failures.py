"""Failed samples by type of error, each type with its commonest message; in bounded memory."""

from collections import Counter
from collections.abc import Mapping
from typing import Any, Self, TypedDict

from lm_eval_so.runner.summary.counts import Counted
from lm_eval_so.runner.text.one_line import one_line

_LONGEST_MESSAGE = 200  # characters
_MOST_MESSAGES = 100
"""Of a type; messages with an id never repeat."""


class FailuresState(TypedDict):
    """Failures as JSON data."""

    counts: Counted
    messages: dict[str, Counted]


class Failures:
    """Adds up the ``error`` of RunResult lines.

    Args:
        most: Different messages of a type that are counted: the first that come.

    Attributes:
        counts: Failed samples by type of error.
    """

    def __init__(self, most: float = _MOST_MESSAGES) -> None:
        self._most = most
        self.counts: Counter[str] = Counter()
        self._messages: dict[str, Counter[str]] = {}

    def add(self, error: Mapping[str, Any]) -> None:
        """Counts an error."""
        kind = error["error_type"]
        self.counts[kind] += 1
        self._count(kind, one_line(error["message"], _LONGEST_MESSAGE), 1)

    def merge(self, other: "Failures") -> None:
        """Counts all that the other has counted."""
        self.counts.update(other.counts)
        for kind, messages in other._messages.items():
            for message, count in messages.items():
                self._count(kind, message, count)

    def state(self) -> FailuresState:
        """The same as JSON data."""
        messages = {kind: dict(counts) for kind, counts in self._messages.items()}
        return {"counts": dict(self.counts), "messages": messages}

    @classmethod
    def of_state(cls, state: FailuresState, most: float = _MOST_MESSAGES) -> Self:
        """What `state` has given."""
        failures = cls(most)
        failures.counts = Counter(state["counts"])
        if state["counts"].keys() != {kind for kind, found in state["messages"].items() if found}:
            raise ValueError("each type of error has its messages")
        failures._messages = {kind: Counter(found) for kind, found in state["messages"].items()}
        return failures

    def commonest(self) -> dict[str, str]:
        """The commonest message of each type."""
        return {
            kind: self._messages[kind].most_common(1)[0][0] for kind, _ in self.counts.most_common()
        }

    def _count(self, kind: str, message: str, times: int) -> None:
        messages = self._messages.setdefault(kind, Counter())
        if message in messages or len(messages) < self._most:
            messages[message] += times
