"""``python -m lm_eval_so.runner.sweep DIR...`` compares run directories side by side."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from lm_eval_so.runner.errors import ConfigError, LmEvalError
from lm_eval_so.runner.host.output import keep_output, tell
from lm_eval_so.runner.run.exit_code import ExitCode
from lm_eval_so.runner.store.files import replace_file
from lm_eval_so.runner.store.metadata import read_metadata
from lm_eval_so.runner.sweep.rows import find_runs, read_row, settings_of, varying
from lm_eval_so.runner.sweep.side_by_side import side_by_side
from lm_eval_so.runner.sweep.table import console_for, csv_text, print_table


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the table and writes ``side_by_side.jsonl``; returns the exit code: 0, or 2."""
    flags = _parser().parse_args(arguments)
    try:
        _compare(list(dict.fromkeys(find_runs(flags.directories))), flags)
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
    runs = [(path, metadata) for path in directories if (metadata := read_metadata(path))]
    if not runs:
        raise ConfigError(f"found no run directory in {', '.join(map(str, flags.directories))}")
    datasets = {run["dataset"]["sha256"]: path for path, run in runs}
    if len(datasets) > 1 and not flags.mixed_datasets:
        one, other, *_ = datasets.values()
        raise ConfigError(
            f"{one} and {other} have different datasets, or different versions of one "
            "dataset; to compare them anyway, add --mixed-datasets"
        )
    settings = varying([settings_of(run) for _, run in runs])
    rows = [read_row(path, own) for (path, _), own in zip(runs, settings, strict=True)]
    names = [row.label for row in rows]
    labels = [
        name if name and names.count(name) == 1 else str(path)
        for name, (path, _) in zip(names, runs, strict=True)
    ]
    output: Path = flags.output
    lines = side_by_side(list(zip(labels, (path for path, _ in runs), strict=True)))
    replace_file(output, lines)
    replace_file(output.with_suffix(".csv"), [csv_text(rows).encode()])
    console = console_for()
    print_table(rows, console)
    for path in (output, output.with_suffix(".csv")):
        console.print(path, soft_wrap=True, markup=False, highlight=False)


if __name__ == "__main__":
    keep_output()
    sys.exit(main())
