"""One line per sample with the answer of every cell."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from lm_eval_so.runner.errors import StoreError
from lm_eval_so.runner.hash_index import HashIndex
from lm_eval_so.runner.request.key import messages_key
from lm_eval_so.runner.store.line import check_line
from lm_eval_so.runner.store.segments import open_results

_FIELDS = {
    "sample_id",
    "request_messages",
    "request_context",
    "status",
    "response",
    "error",
    "latency_ms",
}


def side_by_side(cells: Sequence[tuple[str, Path]]) -> Iterator[bytes]:
    """Lines of ``side_by_side.jsonl``, in the order of the first cell. Takes 16 bytes per result.

    Each has ``sample_id``, ``repeat``, ``request_messages``, ``expected`` and ``cells``: by label,
    ``status``, ``text``, ``finish_reason``, ``error``, ``latency_ms``, ``tokens`` and ``cost_usd``,
    and ``reasoning`` and ``tool_calls`` where there are any; null where the cell has no result.
    ``messages`` is what the cell was asked, where a prompt made it differ from
    ``request_messages``, which are those of a cell without a prompt if there is one.

    Args:
        cells: Label and run directory of each.

    Raises:
        NewerVersionError: A newer release wrote some of them.
        StoreError: Results cannot be read.
    """
    try:
        files = [open_results(path) for _, path in cells]
    except OSError as error:
        raise StoreError(f"{error.filename} cannot be read: {error.strerror}") from error
    labels = [label for label, _ in cells]
    try:
        places = [_places(file) for file in files]
        for index, file in enumerate(files):
            file.seek(0)
            earlier = places[:index]
            for result in (_read(line, file) for line in iter(file.readline, b"")):
                question = _question(result)
                if any(place.get(question) is not None for place in earlier):
                    continue
                here = file.tell()
                found = [
                    _at(each, place.get(question))
                    for each, place in zip(files, places, strict=True)
                ]
                file.seek(here)
                yield _line(result, dict(zip(labels, found, strict=True)))
    finally:
        for file in files:
            file.close()


def _places(file: BinaryIO) -> HashIndex:
    places, offset = HashIndex(), 0
    for line in file:
        result = _read(line, file)
        places[_question(result)] = offset
        offset += len(line)
    return places


def _question(result: dict[str, Any]) -> tuple[str, int, str]:
    """Samples with one id but different messages, as in two datasets, get separate lines."""
    key = _own_key(result) or messages_key(result["request_messages"])
    return result["sample_id"], result.get("repeat", 0), key


def _own_key(result: dict[str, Any]) -> str | None:
    """The key of the sample's own messages, where a prompt has changed them."""
    key: str | None = result["request_context"].get("sample_key")
    return key


def _at(file: BinaryIO, offset: int | None) -> dict[str, Any] | None:
    if offset is None:
        return None
    file.seek(offset)
    return _read(file.readline(), file)


def _read(line: bytes, file: BinaryIO) -> dict[str, Any]:
    try:
        result = orjson.loads(line)
    except orjson.JSONDecodeError:
        result = None
    check_line(result, file.name)
    if not (isinstance(result, dict) and result.keys() >= _FIELDS):
        raise StoreError(f"a line of {file.name} is damaged; run the cell again to repair it")
    return result


def _line(first: dict[str, Any], cells: dict[str, dict[str, Any] | None]) -> bytes:
    asked = next((result for result in cells.values() if result and not _own_key(result)), first)
    messages = asked["request_messages"]
    line = {
        "sample_id": first["sample_id"],
        "repeat": first.get("repeat", 0),
        "request_messages": messages,
        "expected": first["request_context"]["expected"],
        "cells": {label: result and _answer(result, messages) for label, result in cells.items()},
    }
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


def _answer(result: dict[str, Any], messages: list[Any]) -> dict[str, Any]:
    response, own = result["response"], result["request_messages"]
    answer = response or {}
    return {
        **({} if own == messages else {"messages": own}),
        "status": result["status"],
        "text": response and response["text"],
        "finish_reason": answer.get("finish_reason"),
        **{name: answer[name] for name in ("reasoning", "tool_calls") if answer.get(name)},
        "error": result["error"] and result["error"]["error_type"],
        "latency_ms": result["latency_ms"],
        "tokens": response and response["tokens"],
        "cost_usd": result.get("cost_usd"),
    }
