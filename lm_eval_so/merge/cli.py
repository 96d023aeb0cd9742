"""``lm-eval-so merge DIR... --to DIR``: runs of one config, each of a part, become one run."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from lm_eval_so.merge.merge import Merged, merge
from lm_eval_so.report.command import Parser, carry_out
from lm_eval_so.runner.host.output import tell
from lm_eval_so.runner.progress.final_table import print_report


def main(arguments: Sequence[str] | None = None) -> int:
    """Merges, and prints the end table of the whole.

    Returns:
        That of a run: 0 every sample ok, 1 some failed or a gate is not met, 2 results are missing
        or it could not be carried out, 130 for Ctrl-C.
    """
    merged: list[int] = []
    code = carry_out(lambda: merged.append(_merge(_parser().parse_args(arguments))))
    return max([code, *merged])


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="lm-eval-so merge",
        allow_abbrev=False,
        description="Joins run directories of one config and dataset, such as those of a Slurm "
        "array with select.shard=i/n, into the one that a single process would have left. The "
        "directories themselves are not changed.",
        epilog="Exit code: 0 every sample ok, 1 some failed, 2 results are missing.",
    )
    add = parser.add_argument
    add("directories", metavar="DIR", nargs="+", type=Path, help="a run directory")
    add(
        "--to",
        metavar="DIR",
        required=True,
        type=Path,
        help="the directory of the whole: new, empty, or one whose results are part of it",
    )
    add(
        "--dataset",
        metavar="PATH",
        type=Path,
        help="where the dataset is now, if it was moved since",
    )
    return parser


def _merge(flags: argparse.Namespace) -> int:
    merged = merge(flags.directories, flags.to, flags.dataset)
    _print(merged)
    return merged.report.exit_code


def _print(merged: Merged) -> None:
    # It takes longer to import than --help.
    from rich.console import Console  # noqa: PLC0415

    print_report(merged.report, Console())
    if merged.way_on is not None:
        tell(merged.way_on)
