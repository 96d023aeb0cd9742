"""The index of a page: which columns it has, and their bytes."""

from array import array
from collections.abc import Sequence
from typing import NamedTuple

from lm_eval_so.report.columns import IndexWriter, Taker, shifted, translated
from lm_eval_so.report.manifest import Column, ColumnType, Ids
from lm_eval_so.report.merged import Merged
from lm_eval_so.report.rows import Rows
from lm_eval_so.report.run_index import RunIndex
from lm_eval_so.report.runs import NamedRun
from lm_eval_so.report.scores import Scores

_NAN = float("nan")
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


class Index(NamedTuple):
    """The bytes of an index, and what stands where."""

    data: bytes
    columns: list[Column]
    ids: Ids


def epoch_of(indexes: Sequence[RunIndex]) -> float | None:
    """From when the columns ``start`` and ``end`` count, in seconds since 1970."""
    return min((index.epoch for index in indexes if index.epoch is not None), default=None)


def index_of(runs: Sequence[NamedRun], rows: Rows, merged: Merged, scores: Scores) -> Index:
    """The index of a page.

    Args:
        runs: Its cells.
        rows: Which line is in which row.
        merged: The numbering of words, tags and metadata.
        scores: Of the results.
    """
    indexes = [run.index for run in runs]
    taker, writer = Taker(indexes, rows), IndexWriter()
    for name, (kind, owed) in _AS_THEY_ARE.items():
        writer.add(name, kind, taker.results(name, kind, owed))
    for name, kind, table in (
        ("error", "u16", merged.error_table),
        ("finish", "u8", merged.finish_table),
    ):
        changed = [
            translated(index.columns[name], own) for index, own in zip(indexes, table, strict=True)
        ]
        writer.add(name, kind, taker.of_columns(changed, kind, 0))
    writer.add("answer", "u16", taker.answers())
    _add_times(indexes, taker, writer)
    _add_of_rows(indexes, merged, taker, writer)
    if scores:
        _add_scores(runs, rows, scores, writer)
    data, ids = writer.finish(taker.ids())
    return Index(data, writer.columns, ids)


def _add_times(indexes: Sequence[RunIndex], taker: Taker, writer: IndexWriter) -> None:
    epoch = epoch_of(indexes) or 0.0
    starts = [shifted(index.columns["start"], (index.epoch or 0.0) - epoch) for index in indexes]
    ends = [
        array("f", map(float.__add__, start, index.columns["took"]))
        for start, index in zip(starts, indexes, strict=True)
    ]
    writer.add("start", "f32", taker.of_columns(starts, "f32", _NAN))
    writer.add("end", "f32", taker.of_columns(ends, "f32", _NAN))


def _add_of_rows(
    indexes: Sequence[RunIndex], merged: Merged, taker: Taker, writer: IndexWriter
) -> None:
    tagsets = [
        translated(index.columns["tagset"], own)
        for index, own in zip(indexes, merged.tagset_table, strict=True)
    ]
    writer.add("tagset", "u32", [taker.of_rows(tagsets, "u32")])
    for each in merged.fields:
        codes = [each.codes_of(index, own) for index, own in zip(indexes, each.table, strict=True)]
        writer.add(f"field.{each.name}", "u8", [taker.of_rows(codes, "u8")])


def _add_scores(runs: Sequence[NamedRun], rows: Rows, scores: Scores, writer: IndexWriter) -> None:
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
        writer.add(f"score.{name}", "f32", [column])
