"""Rows as the page shows them: messages, what is expected, and the result of every slot."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from itertools import groupby
from typing import Any, BinaryIO

from lm_eval_so.report.json_text import loads
from lm_eval_so.report.rows import Rows
from lm_eval_so.report.run_index import RunIndex
from lm_eval_so.runner.errors import StoreError
from lm_eval_so.runner.models.finish_reason import finish_reason

Line = Mapping[str, Any]
ScoresOf = Callable[[int, int], dict[str, float]]
"""The scores of a result, by name; gets the number of its slot, and of its row."""

_OF_ANSWER = ("reasoning", "tool_calls", "refusal", "choices", "model", "request_id")
_OF_LINE = ("latency_ms", "cost_usd", "attempt_log")
_OF_ERROR = ("error_type", "message", "status_code", "retryable", "details")


def read_rows(
    indexes: Sequence[RunIndex], rows: Rows, wanted: Iterable[int], scores: ScoresOf
) -> list[dict[str, Any]]:
    """The rows with these numbers, as the page gets them.

    A result whose line is not there any more, as in a run that is being put in order, is None.

    Raises:
        StoreError: A results file cannot be read.
    """
    numbers = list(wanted)
    slots = zip(rows.slots, rows.places, strict=True)
    found = [
        lines
        for cell, own in groupby(slots, key=lambda each: each[0].cell)
        for lines in _lines_of(indexes[cell], [places for _, places in own], numbers)
    ]
    return [
        _row(number, results, scores)
        for number, results in zip(numbers, zip(*found, strict=True), strict=True)
    ]


def _lines_of(
    index: RunIndex, slots: Sequence[Sequence[int]], numbers: Sequence[int]
) -> list[list[Line | None]]:
    """The lines of a run for each of its slots. One file is open at a time: there may be a lot."""
    with ExitStack() as opened:
        file = _opened(index, opened)
        return [
            [
                _line(index, file, places[number] - 1) if places[number] else None
                for number in numbers
            ]
            for places in slots
        ]


def _opened(index: RunIndex, opened: ExitStack) -> BinaryIO | None:
    try:
        return opened.enter_context(index.opened(1 << 16))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"{index.path} cannot be read: {error.strerror}") from error


def _row(number: int, found: Sequence[Line | None], scores: ScoresOf) -> dict[str, Any]:
    there = [line for line in found if line is not None]
    first = there[0] if there else None
    asked = next((line for line in there if not line["request_context"].get("sample_key")), first)
    messages = asked["request_messages"] if asked else []
    context = first["request_context"] if first else {}
    metadata = context.get("sample_metadata")
    return {
        "id": first["sample_id"] if first else "",
        "messages": messages,
        "expected": context.get("expected"),
        "tags": context.get("sample_tags") or [],
        "metadata": metadata if isinstance(metadata, dict) else {},
        "results": [
            line and _result(line, messages, scores(slot, number))
            for slot, line in enumerate(found)
        ],
    }


def _line(index: RunIndex, file: BinaryIO | None, line: int) -> Line | None:
    if file is None:
        return None
    try:
        file.seek(index.columns["offset"][line])
        found = loads(file.readline())
    except ValueError:
        return None
    except OSError as error:
        raise StoreError(f"{index.path} cannot be read: {error.strerror}") from error
    is_it = isinstance(found, dict) and found.get("sample_id") == index.sample_id(line)
    return found if is_it else None


def _result(line: Line, messages: Sequence[Any], scores: dict[str, float]) -> dict[str, Any]:
    """What is None is left out."""
    answer, error, own = line["response"] or {}, line["error"], line["request_messages"]
    served = answer.get("served_by") or (error or {}).get("served_by")
    result = {
        "status": line["status"],
        "text": answer.get("text"),
        **{name: answer.get(name) for name in _OF_ANSWER},
        "finish_reason": finish_reason(answer.get("finish_reason")),
        "error": error and {name: error.get(name) for name in _OF_ERROR},
        "messages": None if own == messages else own,
        "tokens": _without_none(answer.get("tokens") or {}) or None,
        "first_token_ms": answer.get("time_to_first_token_ms"),
        **{name: line.get(name) for name in _OF_LINE},
        "attempts": line["attempts"],
        "started_at": line["started_at"],
        "request_key": line["request_key"],
        "trace_id": line["trace_id"],
        "served_by": served,
        "scores": scores or None,
    }
    return _without_none(result)


def _without_none(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
