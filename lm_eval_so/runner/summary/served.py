"""What answered: models and configurations by their names, and when another one began to."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Self

from lm_eval_so.runner.models import Value
from lm_eval_so.runner.summary.counts import Number

_MOST_NAMES = 100


class Served(Value):
    """A model, or a configuration of it, as the server names it.

    Attributes:
        answers: That it gave.
        first_at: When the first of them was complete, in UTC and ISO 8601.
        sample_id: Whose answer that was.
    """

    answers: int
    first_at: str
    sample_id: str


NamesState = dict[str, tuple[Number, str, str]]
"""Names as JSON data: answers, when the first was complete, and whose it was."""


class _First(NamedTuple):
    at: str
    sample_id: str


class Names:
    """Counts answers by one name of what served them.

    Args:
        field: Of the response: ``model`` or ``system_fingerprint``.
        most: Names that are counted: the first that come.
    """

    def __init__(self, field: str, most: float = _MOST_NAMES) -> None:
        self._field, self._most = field, most
        self._counts: dict[str, int] = {}
        self._firsts: dict[str, _First] = {}

    def add(self, result: Mapping[str, Any]) -> None:
        """Counts a RunResult line that has a response."""
        name, at = result["response"].get(self._field), result["completed_at"]
        first = self._firsts.get(name)
        if first is not None and first.at < at:  # nearly all of them
            self._counts[name] += 1
        elif name is not None:
            self._count(name, 1, _First(at, result["sample_id"]))

    def merge(self, other: "Names") -> None:
        """Counts all that the other has counted."""
        for name, count in other._counts.items():
            self._count(name, count, other._firsts[name])

    def state(self) -> NamesState:
        """The same as JSON data."""
        return {name: (count, *self._firsts[name]) for name, count in self._counts.items()}

    @classmethod
    def of_state(cls, field: str, state: NamesState, most: float = _MOST_NAMES) -> Self:
        """What `state` has given."""
        names = cls(field, most)
        names._counts = {name: count for name, (count, _, _) in state.items()}
        names._firsts = {name: _First(at, sample) for name, (_, at, sample) in state.items()}
        return names

    def summary(self) -> dict[str, Served]:
        """By name, the earliest first."""
        names = sorted(self._counts, key=self._firsts.__getitem__)
        return {
            name: Served(
                answers=self._counts[name],
                first_at=self._firsts[name].at,
                sample_id=self._firsts[name].sample_id,
            )
            for name in names
        }

    def _count(self, name: str, count: int, first: _First) -> None:
        known = self._counts.get(name)
        if known is None and len(self._counts) >= self._most:
            return
        self._counts[name] = (known or 0) + count
        if known is None or first < self._firsts[name]:
            self._firsts[name] = first
