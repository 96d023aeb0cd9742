"""The dataset formats, by name and by file suffix."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from lm_eval_so.runner.config.schema import DatasetConfig
from lm_eval_so.runner.dataset.base import Reader
from lm_eval_so.runner.dataset.csv_file import CsvReader, TsvReader
from lm_eval_so.runner.dataset.excel import ExcelReader
from lm_eval_so.runner.dataset.json_array import JsonReader
from lm_eval_so.runner.dataset.jsonl import JsonlReader
from lm_eval_so.runner.dataset.parquet import ParquetReader


class Format(NamedTuple):
    """A dataset format.

    Attributes:
        suffixes: Suffixes of its files.
        reader: Creates the reader of a file.
        has_rows: Whether its records may be rows, which a mapping turns into samples.
    """

    suffixes: tuple[str, ...]
    reader: Callable[[Path, DatasetConfig], Reader]
    has_rows: bool = False


def _packed(suffix: str) -> tuple[str, ...]:
    return suffix, f"{suffix}.gz", f"{suffix}.zst"


FORMATS: dict[str, Format] = {
    "jsonl": Format((".jsonl", ".jsonl.gz"), JsonlReader, has_rows=True),
}
"""By name. In a directory, the first format with a ``test`` file is read."""

TABLES: dict[str, Format] = {
    "ndjson": Format((".jsonl.zst", *_packed(".ndjson")), JsonlReader, has_rows=True),
    "json": Format(_packed(".json"), JsonReader, has_rows=True),
    "csv": Format(_packed(".csv"), CsvReader, has_rows=True),
    "tsv": Format(_packed(".tsv"), TsvReader, has_rows=True),
    "excel": Format((".xlsx", ".xlsm"), ExcelReader, has_rows=True),
    "parquet": Format((".parquet",), ParquetReader, has_rows=True),
}
"""The formats of others, after these."""


def suffixes() -> list[str]:
    """The suffixes of all formats, in the order in which a directory is searched."""
    return [suffix for known in _formats() for suffix in known.suffixes]


def suffix_of(path: Path) -> str | None:
    """The longest known suffix of the file's name; None if there is none."""
    return max(filter(path.name.endswith, suffixes()), key=len, default=None)


def format_of(path: Path) -> Format | None:
    """The format of a file, by its suffix."""
    suffix = suffix_of(path)
    return next((known for known in _formats() if suffix in known.suffixes), None)


def _formats() -> Iterator[Format]:
    yield from FORMATS.values()
    yield from TABLES.values()
