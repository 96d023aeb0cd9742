"""Scores that something else gave to results: read from JSONL, joined by request key or id."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lm_eval_so.report.json_text import loads
from lm_eval_so.report.result_columns import request_of
from lm_eval_so.runner.errors import ConfigError

_NAMES_A_RESULT = ("request_key", "sample_id", "repeat", "cell")


class Scores:
    """Scores of results by name: what is a number, or true or false, in lines of JSON.

    A line names its result by ``request_key``, or by ``sample_id`` with or without ``repeat`` and
    ``cell``, the cell's name. Where several lines score one result, the later ones count.

    Attributes:
        names: Of all scores.
    """

    def __init__(self) -> None:
        self.names: dict[str, None] = {}
        self._by_request: dict[int, dict[str, float]] = {}
        self._by_sample: dict[tuple[str, int | None, str | None], dict[str, float]] = {}

    def __bool__(self) -> bool:
        return bool(self.names)

    def add(self, line: Mapping[str, Any]) -> bool:
        """Adds a line; says whether it names a result."""
        found = {
            name: float(value)
            for name, value in line.items()
            if isinstance(value, int | float) and name not in _NAMES_A_RESULT
        }
        key, sample = line.get("request_key"), line.get("sample_id")
        if isinstance(key, str):
            self._by_request.setdefault(request_of(key), {}).update(found)
        elif isinstance(sample, str | int):
            where = str(sample), line.get("repeat"), line.get("cell")
            self._by_sample.setdefault(where, {}).update(found)
        else:
            return False
        self.names.update(dict.fromkeys(found))
        return True

    def of(self, request: int, sample_id: str, repeat: int, cell: str) -> dict[str, float]:
        """The scores of a result; what names it more exactly counts.

        Args:
            request: 64 bits of its request key.
            sample_id: Of its sample.
            repeat: From 0.
            cell: Name of its cell.
        """
        if not self.names:
            return {}
        found: dict[str, float] = {}
        if self._by_sample:
            for where in ((None, None), (repeat, None), (None, cell), (repeat, cell)):
                found.update(self._by_sample.get((sample_id, *where), {}))
        return {**found, **self._by_request.get(request, {})}


def read_scores(paths: Iterable[Path]) -> Scores:
    """The scores that files of JSON lines hold.

    Raises:
        ConfigError: A file cannot be read, or a line is no score.
    """
    scores = Scores()
    for path in paths:
        try:
            with path.open("rb") as file:
                for number, line in enumerate(file, start=1):
                    if not line.isspace():
                        _add(scores, line, f"{path}:{number}")
        except OSError as error:
            raise ConfigError(f"--scores {path} cannot be read: {error.strerror}") from error
    return scores


def _add(scores: Scores, line: bytes, where: str) -> None:
    try:
        found = loads(line)
    except ValueError as error:
        raise ConfigError(f"{where}: not valid JSON: {error}") from error
    if not isinstance(found, dict) or not scores.add(found):
        raise ConfigError(f"{where}: a score needs request_key or sample_id, and numbers")
