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
    """

    suffixes: tuple[str, ...]
    reader: Callable[[Path, DatasetConfig], Reader]


def _packed(suffix: str) -> tuple[str, ...]:
    return suffix, f"{suffix}.gz", f"{suffix}.zst"


FORMATS: dict[str, Format] = {
    "jsonl": Format((".jsonl", ".jsonl.gz"), JsonlReader),
}
"""By name. In a directory, the first format with a ``test`` file is read."""

TABLES: dict[str, Format] = {
    "ndjson": Format((".jsonl.zst", *_packed(".ndjson")), JsonlReader),
    "json": Format(_packed(".json"), JsonReader),
    "csv": Format(_packed(".csv"), CsvReader),
    "tsv": Format(_packed(".tsv"), TsvReader),
    "excel": Format((".xlsx", ".xlsm"), ExcelReader),
    "parquet": Format((".parquet",), ParquetReader),
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
