"""Parquet with one schema for every run."""

from collections.abc import Iterator
from typing import Any, BinaryIO, Final

from lm_eval_so.report.export.export import Export, Row, as_text
from lm_eval_so.runner.dataset.extras import needed

_ROWS: Final = 10_000
_CHARACTERS: Final = 32_000_000
"""A row group ends at either, so that long answers do not fill the memory."""


def write(export: Export, file: BinaryIO) -> None:
    """Writes a row for each result, in row groups.

    ``tags`` is a list of strings. Messages, tool calls, metadata and what is expected are JSON in
    strings: their keys and types are the dataset's and the server's, so that as columns of their
    own they would be different in every file.

    Raises:
        LmEvalError: The extra ``parquet`` is not installed.
    """
    arrow = needed("pyarrow", extra="parquet", purpose="--to parquet")
    parquet = needed("pyarrow.parquet", extra="parquet", purpose="--to parquet")
    types = {
        "string": arrow.string(),
        "int64": arrow.int64(),
        "Int64": arrow.int64(),
        "float64": arrow.float64(),
        "bool": arrow.bool_(),
        "object": arrow.string(),
    }
    schema = arrow.schema(
        [
            arrow.field(
                name,
                arrow.list_(arrow.string()) if name == "tags" else types[kind],
                nullable=kind not in {"int64", "bool"},
            )
            for name, kind in export.columns.items()
        ]
    )
    with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        for rows in _groups(export):
            writer.write_batch(arrow.RecordBatch.from_pylist(rows, schema=schema))


def _groups(export: Export) -> Iterator[list[dict[str, Any]]]:
    objects = {name for name, kind in export.columns.items() if kind == "object"} - {"tags"}
    rows: list[dict[str, Any]] = []
    characters = 0
    for row in export.rows():
        flat = {name: _flat(value) if name in objects else value for name, value in row.items()}
        rows.append(flat)
        characters += _size(flat)
        if len(rows) >= _ROWS or characters >= _CHARACTERS:
            yield rows
            rows, characters = [], 0
    if rows:
        yield rows


def _flat(value: object) -> str | None:
    return None if value is None else as_text(value)


def _size(row: Row) -> int:
    return sum(len(value) for value in row.values() if isinstance(value, str))
