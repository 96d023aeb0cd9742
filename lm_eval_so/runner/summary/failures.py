"""Failed samples by type of error, each type with its commonest message; in bounded memory."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from lm_eval_so.runner.text.one_line import one_line

_LONGEST_MESSAGE = 200  # characters
_MOST_MESSAGES = 100
"""Different messages of a type that are counted: the first; messages with an id never repeat."""


class Failures:
    """Adds up the ``error`` of RunResult lines.

    Attributes:
        counts: Failed samples by type of error.
    """

    def __init__(self) -> None:
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

    def commonest(self) -> dict[str, str]:
        """The commonest message of each type."""
        return {
            kind: self._messages[kind].most_common(1)[0][0] for kind, _ in self.counts.most_common()
        }

    def _count(self, kind: str, message: str, times: int) -> None:
        messages = self._messages.setdefault(kind, Counter())
        if message in messages or len(messages) < _MOST_MESSAGES:
            messages[message] += times
