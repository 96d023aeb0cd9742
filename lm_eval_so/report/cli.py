"""``lm-eval-so report``, and the way to ``view`` and ``export``."""

import argparse
import os
import shlex
import webbrowser
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from lm_eval_so.report.command import Parser, carry_out, check_output
from lm_eval_so.report.find import find
from lm_eval_so.report.scores import read_scores
from lm_eval_so.report.write import REPORT, write_report
from lm_eval_so.runner.errors import ConfigError
from lm_eval_so.runner.host.output import show, tell

_ELSEWHERE = {"view": "lm_eval_so.report.view.cli", "export": "lm_eval_so.report.export.cli"}
"""Subcommands whose parts have a ``main(arguments) -> int`` of their own."""


def main(arguments: Sequence[str]) -> int:
    """Runs a subcommand.

    Args:
        arguments: Its name, and what follows.

    Returns:
        0; 2 if it could not be carried out, 130 for Ctrl-C.
    """
    name, *rest = arguments
    if name in _ELSEWHERE:
        code: int = import_module(_ELSEWHERE[name]).main(rest)
        return code
    return report(rest)


def report(arguments: Sequence[str]) -> int:
    """Writes one HTML file about runs; see `main`."""
    return carry_out(lambda: _write(_parser().parse_args(arguments)))


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="lm-eval-so report",
        allow_abbrev=False,
        description="Writes one HTML file to look at: answers side by side, what differs, what "
        "went wrong. It needs no server and no network.",
        epilog="For large runs, and while a run goes on, see: lm-eval-so view --help",
    )
    add = parser.add_argument
    add(
        "directories",
        metavar="DIR",
        nargs="*",
        type=Path,
        help="a run directory, a folder of runs at any depth, or a sweep's folder or sweep.json "
        "(default: the newest run or sweep in outputs)",
    )
    add(
        "-o",
        "--output",
        metavar="FILE",
        type=Path,
        help=f"the file (default: {REPORT} in DIR; with several DIRs in the working directory)",
    )
    add(
        "--scores",
        metavar="FILE",
        action="append",
        default=[],
        type=Path,
        help="JSON lines with request_key (or sample_id[, repeat, cell]) and numbers or booleans, "
        "which become scores of the results; can be repeated",
    )
    add("--open", action="store_true", help="open the page in the browser")
    return parser


def _write(flags: argparse.Namespace) -> None:
    scores = read_scores(flags.scores)
    found = find(flags.directories)
    output = flags.output or found.home / REPORT
    if output.is_dir():
        output /= REPORT
    check_output(output, found.directories, flags.directories, flags.scores)
    if not output.parent.is_dir():
        raise ConfigError(f"cannot write {output}: there is no folder {output.parent}")
    sampled = write_report(found.directories, output, scores)
    show(output)
    if sampled is not None:
        named = [path.absolute() for path in flags.directories] or [found.home]
        where = shlex.quote(os.path.commonpath(named))
        tell(
            f"the page holds {sampled['results']:,} of {sampled['of']:,} results "
            f"({sampled['how']}); to see all: lm-eval-so view {where}"
        )
    if flags.open:
        webbrowser.open(output.resolve().as_uri())
