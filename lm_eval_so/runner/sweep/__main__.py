"""``python -m lm_eval_so.runner.sweep DIR...`` compares run directories side by side."""

import argparse
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path

from lm_eval_so.runner.errors import ConfigError, LmEvalError, NewerVersionError, StoreError
from lm_eval_so.runner.host.output import keep_output, tell
from lm_eval_so.runner.run.exit_code import ExitCode
from lm_eval_so.runner.store.files import replace_file
from lm_eval_so.runner.store.metadata import find_runs, read_metadata
from lm_eval_so.runner.store.run_metadata import RunMetadata
from lm_eval_so.runner.sweep.rows import (
    Row,
    read_row,
    settings_of,
    unreadable_row,
    varying,
)
from lm_eval_so.runner.sweep.side_by_side import side_by_side
from lm_eval_so.runner.sweep.table import console_for, csv_text, print_table


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the table and writes ``side_by_side.jsonl``; returns the exit code: 0, or 2.

    A directory whose ``run_metadata.json`` is damaged is a row that says so. Where a newer release
    wrote it, or no directory can be read, the exit code is 2.
    """
    flags = _parser().parse_args(arguments)
    try:
        found = chain.from_iterable(map(find_runs, flags.directories))
        _compare(list(dict.fromkeys(found)), flags)
    except LmEvalError as error:
        tell(f"error: {error}")
        return ExitCode.NOT_CARRIED_OUT
    return ExitCode.OK


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lm_eval_so.runner.sweep",
        description="Compares run directories: prints a table, and writes one line per sample "
        "with the answer of every run. The runs may be from different commands and machines.",
    )
    add = parser.add_argument
    add(
        "directories",
        metavar="DIR",
        nargs="+",
        type=Path,
        help="a run directory, or a folder that contains run directories at any depth",
    )
    add(
        "--output",
        metavar="FILE",
        type=Path,
        default=Path("side_by_side.jsonl"),
        help="the file with one line per sample (default: side_by_side.jsonl); the table is "
        "written beside it as .csv",
    )
    add("--mixed-datasets", action="store_true", help="allow runs of different datasets")
    return parser


def _compare(directories: list[Path], flags: argparse.Namespace) -> None:
    runs, unreadable = _read(directories)
    if not runs and not unreadable:
        raise ConfigError(f"found no run directory in {', '.join(map(str, flags.directories))}")
    if not flags.mixed_datasets:
        _check_datasets(runs)
    settings = varying(settings_of(runs.values()))
    rows = [read_row(path, own) for path, own in zip(runs, settings, strict=True)]
    blank = dict.fromkeys(settings[0] if settings else (), "")
    table = [*rows, *(unreadable_row(path, blank, error) for path, error in unreadable.items())]
    console = console_for()
    files = _write(flags.output, dict(zip(runs, rows, strict=True)), table) if runs else []
    print_table(table, console)
    for path in files:
        console.print(path, soft_wrap=True, markup=False, highlight=False)
    for error in unreadable.values():
        if not runs or isinstance(error, NewerVersionError):
            raise error


def _read(directories: list[Path]) -> tuple[dict[Path, RunMetadata], dict[Path, StoreError]]:
    """The runs, and why others cannot be read."""
    runs: dict[Path, RunMetadata] = {}
    unreadable: dict[Path, StoreError] = {}
    for path in directories:
        try:
            metadata = read_metadata(path)
        except StoreError as error:
            unreadable[path] = error
        else:
            if metadata is not None:
                runs[path] = metadata
    return runs, unreadable


def _check_datasets(runs: Mapping[Path, RunMetadata]) -> None:
    datasets = {metadata.dataset.sha256: path for path, metadata in runs.items()}
    if len(datasets) > 1:
        one, other, *_ = datasets.values()
        raise ConfigError(
            f"{one} and {other} have different datasets, or different versions of one "
            "dataset; to compare them anyway, add --mixed-datasets"
        )


def _write(output: Path, runs: Mapping[Path, Row], table: Sequence[Row]) -> list[Path]:
    """Writes the answers of the runs that can be read, and the table of all."""
    names = Counter(row.label for row in runs.values())
    cells = [
        (row.label if row.label and names[row.label] == 1 else str(path), path)
        for path, row in runs.items()
    ]
    replace_file(output, side_by_side(cells))
    replace_file(output.with_suffix(".csv"), [csv_text(table).encode()])
    return [output, output.with_suffix(".csv")]


if __name__ == "__main__":
    keep_output()
    sys.exit(main())
