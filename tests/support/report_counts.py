"""What a page must count, counted from the results files with ``json`` alone."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

Result = dict[str, Any]

_MOST_EXTREME = 20


@dataclass
class Row:
    """A sample, and its results in all cells.

    Attributes:
        results: By cell and repeat; None where one is owed.
    """

    id: str
    results: dict[tuple[int, int], Result | None] = field(default_factory=dict)

    @property
    def there(self) -> list[Result]:
        return [result for result in self.results.values() if result is not None]

    @property
    def context(self) -> dict[str, Any]:
        context: dict[str, Any] = self.there[0]["request_context"]
        return context

    @property
    def tags(self) -> list[str]:
        tags: list[str] = self.context["sample_tags"]
        return tags

    @property
    def metadata(self) -> dict[str, Any]:
        metadata: dict[str, Any] = self.context["sample_metadata"]
        return metadata

    @property
    def expected(self) -> str:
        expected = self.context["expected"]
        if expected is None:
            return ""
        return (
            expected if isinstance(expected, str) else json.dumps(expected, separators=(",", ":"))
        )

    @property
    def text(self) -> str:
        """All that is said in its messages and answers, in lower case."""
        said = [
            message["content"] for result in self.there for message in result["request_messages"]
        ]
        parts = [part for content in said for part in _texts(content)]
        return "\n".join([*parts, *map(text_of, self.there)]).lower()

    def has(self, kind: str) -> bool:
        """Whether one of the query language's ``is:`` holds."""
        return _KINDS[kind](self)

    def any(self, holds: Callable[[Result], object]) -> bool:
        """Whether something holds for one of the results that are there."""
        return any(holds(result) for result in self.there)

    def only(self, cells: Iterable[int]) -> Row:
        """The row with some of the cells."""
        kept = {slot: result for slot, result in self.results.items() if slot[0] in set(cells)}
        return Row(self.id, kept)


def read_rows(runs: Sequence[Path], repeats: int = 1) -> list[Row]:
    """The rows of a page about runs of one dataset whose samples have different ids."""
    slots = [(cell, repeat) for cell in range(len(runs)) for repeat in range(repeats)]
    rows: dict[str, Row] = {}
    for cell, run in enumerate(runs):
        for line in (run / "run_results.jsonl").read_text(encoding="utf-8").split("\n")[:-1]:
            result = json.loads(line)
            fresh = Row(result["sample_id"], dict.fromkeys(slots))
            row = rows.setdefault(result["sample_id"], fresh)
            row.results[cell, result.get("repeat", 0)] = result
    return list(rows.values())


def chips(rows: Sequence[Row]) -> dict[str, int]:
    """The count of every chip that has one."""
    counts = {kind.capitalize(): sum(row.has(kind) for row in rows) for kind in _KINDS}
    counts |= {"Slowest": len(slowest(rows)), "Longest": len(longest(rows))}
    return {name: count for name, count in counts.items() if count}


def slowest(rows: Sequence[Row]) -> list[Row]:
    return _highest(rows, lambda result: result["latency_ms"])


def longest(rows: Sequence[Row]) -> list[Row]:
    return _highest(rows, lambda result: len(text_of(result)) if result["status"] == "ok" else None)


def _highest(rows: Sequence[Row], value: Callable[[Result], float | None]) -> list[Row]:
    """The rows with the highest values, as 32-bit floats; ties in their order."""
    found = []
    for row in rows:
        known = [single(number) for each in row.there if (number := value(each)) is not None]
        if known:
            found.append((max(known), row))
    return [row for _, row in sorted(found, key=lambda pair: -pair[0])][:_MOST_EXTREME]


def single(number: float) -> float:
    """The number as a 32-bit float."""
    (rounded,) = struct.unpack("f", struct.pack("f", number))
    return float(rounded)


def text_of(result: Result) -> str:
    """What was answered; empty if nothing was."""
    return (result["response"] or {}).get("text") or ""


def tokens(result: Result, kind: str) -> float:
    """NaN if they are not known; no comparison with it holds."""
    counted = ((result["response"] or {}).get("tokens") or {}).get(kind)
    return float("nan") if counted is None else counted


def finish(result: Result) -> str:
    return (result["response"] or {}).get("finish_reason") or ""


def error(result: Result) -> str:
    return (result["error"] or {}).get("error_type", "")


def _texts(content: Any) -> list[str]:  # noqa: ANN401 - whatever a message holds
    if isinstance(content, str):
        return [content]
    return [part["text"] for part in content if "text" in part]


def _answer(result: Result) -> str:
    answer = result["response"]
    return json.dumps([answer["text"], answer.get("tool_calls")])


def _is_different(row: Row) -> bool:
    return len({_answer(result) for result in row.there if result["status"] == "ok"}) > 1


def _is_refused(result: Result) -> bool:
    return finish(result) == "content_filter" or bool((result["response"] or {}).get("refusal"))


def _is_empty(result: Result) -> bool:
    answered = result["status"] == "ok" and not text_of(result).strip()
    return answered and not result["response"].get("tool_calls")


_KINDS: dict[str, Callable[[Row], bool]] = {
    "different": _is_different,
    "failed": lambda row: row.any(lambda result: result["status"] != "ok"),
    "truncated": lambda row: row.any(lambda result: finish(result) == "length"),
    "refused": lambda row: row.any(_is_refused),
    "empty": lambda row: row.any(_is_empty),
    "owed": lambda row: None in row.results.values(),
}
