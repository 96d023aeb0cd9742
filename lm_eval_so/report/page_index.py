"""The index of a page: which columns it has, and their bytes."""

import sys
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

from lm_eval_so.report.columns import Taker
from lm_eval_so.report.manifest import CODES, Column, ColumnType, Ids
from lm_eval_so.report.merged import Merged
from lm_eval_so.report.rows import Rows
from lm_eval_so.report.run_index import RunIndex
from lm_eval_so.report.runs import NamedRun
from lm_eval_so.report.scores import Scores

_NAN = float("nan")
_ALIGNED = 4
_PIECE = 1 << 20  # bytes, at least
_AS_THEY_ARE: dict[str, tuple[ColumnType, float]] = {
    "status": ("u8", 0),
    "flags": ("u8", 0),
    "latency": ("f32", _NAN),
    "first": ("f32", _NAN),
    "input": ("f32", _NAN),
    "output": ("f32", _NAN),
    "cost": ("f32", _NAN),
    "length": ("u32", 0),
    "attempts": ("u8", 0),
}


class Part(NamedTuple):
    """A column of an index.

    Attributes:
        values: How many.
        arrays: Makes them.
    """

    name: str
    kind: ColumnType
    values: int
    arrays: Callable[[], Iterable["array[Any]"]]


class PageIndex:
    """The index of a page at one moment: columns one behind the other, and the ids of the rows.

    Its bytes are made when they are asked for, since they take some 50 MB for a million results.
    They are the same each time, also when the runs have got more results meanwhile.

    Args:
        parts: Its columns.
        ids: Makes the ids as JSON, with commas between them, in pieces of some rows.

    Attributes:
        columns: Where they stand.
        ids: Where those of the rows stand.
    """

    def __init__(self, parts: Sequence[Part], ids: Callable[[], Iterable[bytes]]) -> None:
        self.columns: list[Column] = []
        offset = 0
        for name, kind, count, _ in parts:
            self.columns.append(Column(name=name, type=kind, count=count, offset=offset))
            size = count * array(CODES[kind]).itemsize
            offset += size + -size % _ALIGNED
        self._parts, self._ids = parts, ids
        self.ids = Ids(offset=offset, bytes=sum(map(len, self._ids_as_json())))

    def __len__(self) -> int:
        return self.ids["offset"] + self.ids["bytes"]

    def pieces(self) -> Iterator[bytes]:
        """All its bytes, piece by piece."""
        waiting = bytearray()
        for piece in self._pieces():
            waiting += piece
            if len(waiting) >= _PIECE:
                yield bytes(waiting)
                waiting.clear()
        yield bytes(waiting)

    def _pieces(self) -> Iterator[bytes]:
        for part in self._parts:
            size = 0
            for values in part.arrays():
                content = _little_endian(values)
                size += len(content)
                yield content
            yield bytes(-size % _ALIGNED)
        yield from self._ids_as_json()

    def _ids_as_json(self) -> Iterator[bytes]:
        before = b"["
        for piece in self._ids():
            yield before
            yield piece
            before = b","
        yield b"]" if before == b"," else b"[]"


def epoch_of(indexes: Sequence[RunIndex]) -> float | None:
    """From when the columns ``start`` and ``end`` count, in seconds since 1970."""
    return min((index.epoch for index in indexes if index.epoch is not None), default=None)


def index_of(
    runs: Sequence[NamedRun], rows: Rows, taker: Taker, merged: Merged, scores: Scores
) -> PageIndex:
    """The index of a page as the runs and rows are now.

    Args:
        runs: Its cells.
        rows: Which line is in which row.
        taker: Of them.
        merged: The numbering of words, tags and metadata.
        scores: Of the results.
    """
    indexes = [run.index for run in runs]
    epoch = epoch_of(indexes) or 0.0
    later = [(index.epoch or 0.0) - epoch for index in indexes]
    tagsets = [index.columns["tagset"] for index in indexes]
    results, count = len(rows) * len(rows.slots), len(rows)
    parts = [
        *(
            Part(name, kind, results, partial(taker.results, name, owed))
            for name, (kind, owed) in _AS_THEY_ARE.items()
        ),
        Part("error", "u16", results, partial(taker.translated, "error", merged.error_table)),
        Part("finish", "u8", results, partial(taker.translated, "finish", merged.finish_table)),
        Part("answer", "u16", results, taker.answers),
        Part("start", "f32", results, partial(taker.shifted, "start", later)),
        Part("end", "f32", results, partial(taker.shifted, "end", later)),
        Part("tagset", "u32", count, partial(taker.of_rows, tagsets, merged.tagset_table)),
        *(
            Part(f"field.{each.name}", "u8", count, partial(taker.of_rows, each.codes, each.table))
            for each in merged.fields
        ),
        *_scores(runs, rows, scores),
    ]
    return PageIndex(parts, taker.ids)


def _scores(runs: Sequence[NamedRun], rows: Rows, scores: Scores) -> Iterator[Part]:
    if not scores:
        return
    found: dict[str, array[float]] = {name: array("f") for name in scores.names}
    for slot, places in zip(rows.slots, rows.places, strict=True):
        run = runs[slot.cell]
        requests, sample_id = run.index.columns["request"], run.index.sample_id
        for place in places:
            line = place - 1
            own = scores.of(requests[line], sample_id(line), slot.repeat, run.name) if place else {}
            for name, column in found.items():
                column.append(own.get(name, _NAN))
    for name, column in found.items():
        yield Part(f"score.{name}", "f32", len(column), partial(iter, [column]))


def _little_endian(column: "array[Any]") -> bytes:
    if sys.byteorder == "big":
        column = column[:]
        column.byteswap()
    return column.tobytes()
