"""The formats of an export, by the name that ``--to`` takes."""

from collections.abc import Callable
from importlib import import_module
from typing import BinaryIO, NamedTuple

from lm_eval_so.report.export.export import Export
from lm_eval_so.runner.config.messages import nearest
from lm_eval_so.runner.errors import ConfigError

Write = Callable[[Export, BinaryIO], None]
"""Writes an export into an empty file. What a person should know of it goes to ``notes``."""


class Format(NamedTuple):
    """What a file of it is like.

    Attributes:
        module: With a function ``write``: a `Write`.
        file: Where it is written unless ``-o`` tells.
        is_text: It can go to standard output.
        of_one_cell: A file holds the results of one cell; several cells are a folder.
    """

    module: str
    file: str
    is_text: bool = False
    of_one_cell: bool = False

    def writer(self) -> Write:
        """Loads what writes it."""
        write: Write = import_module(f"lm_eval_so.report.export.{self.module}").write
        return write


FORMATS = {
    "csv": Format("csv_file", "results.csv", is_text=True),
    "xlsx": Format("xlsx", "results.xlsx"),
    "parquet": Format("parquet", "results.parquet"),
    "inspect": Format("inspect_log", "results.eval", of_one_cell=True),
    "junit": Format("junit", "results.xml", is_text=True),
    "openai_evals": Format("openai_evals", "results.evals.jsonl", is_text=True),
}


def format_of(name: str) -> Format:
    """The format of this name.

    Raises:
        ConfigError: There is none.
    """
    if name not in FORMATS:
        hint = f"{nearest(name, FORMATS)} (known: {', '.join(FORMATS)})"
        raise ConfigError(f"unknown format --to {name!r}{hint}")
    return FORMATS[name]
