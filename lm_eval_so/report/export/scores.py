"""Scores from a JSONL file, joined to results by their request key."""

from array import array
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Self

import orjson

from lm_eval_so.runner.errors import StoreError
from lm_eval_so.runner.hash_index import HashIndex
from lm_eval_so.runner.store.files import reading
from lm_eval_so.runner.summary.result_row import COLUMNS

_NAN: Final = float("nan")


class Scores:
    """The numbers of each result, by name; true is 1 and false 0.

    Takes 25 bytes a result, and 8 for each of its numbers.

    Attributes:
        matched: Results so far that had scores.
    """

    def __init__(self) -> None:
        self.matched = 0
        self._places = HashIndex()
        self._columns: dict[str, array[float]] = {}

    @classmethod
    def load(cls, path: Path) -> Self:
        """The scores of a file: one object a line, with ``request_key`` and any numbers.

        Several lines of one result add up; of one number twice the last counts. What is no number,
        and what a table of results has already, is passed over.

        Raises:
            StoreError: It cannot be read, or a line is something else.
        """
        scores = cls()
        with reading(path), path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    scores._add(_fields(line, f"{path}:{number}"))
        return scores

    @property
    def names(self) -> tuple[str, ...]:
        """Of the scores, in the order in which they came."""
        return tuple(self._columns)

    def of(self, request_key: str) -> dict[str, float]:
        """The scores of a result; empty where it has none."""
        place = self._places.get(request_key)
        if place is None:
            return {}
        self.matched += 1
        return {name: value for name, value in self._at(place) if value == value}  # noqa: PLR0124 - NaN is none

    def _at(self, place: int) -> Iterator[tuple[str, float]]:
        for name, values in self._columns.items():
            yield name, values[place] if place < len(values) else _NAN

    def _add(self, fields: Mapping[str, Any]) -> None:
        place = self._places.setdefault(fields["request_key"], len(self._places))
        for name, value in fields.items():
            if isinstance(value, int | float) and name not in COLUMNS:
                column = self._columns.setdefault(name, array("d"))
                column.extend([_NAN] * (place + 1 - len(column)))
                column[place] = value


def _fields(line: bytes, where: str) -> Mapping[str, Any]:
    try:
        fields = orjson.loads(line)
    except orjson.JSONDecodeError:
        fields = None
    if not isinstance(fields, dict) or not isinstance(fields.get("request_key"), str):
        raise StoreError(f"{where}: not a JSON object with the request_key of a result")
    return fields
