"""``lm-eval-so export DIR... --to FORMAT``: results for a spreadsheet, a program, another tool."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from lm_eval_so.report.command import Parser, carry_out, check_output
from lm_eval_so.report.export.cell import Cell, open_cells
from lm_eval_so.report.export.export import Export
from lm_eval_so.report.export.registry import FORMATS, Format, format_of
from lm_eval_so.report.output import made, opened, standard_output
from lm_eval_so.report.scores import Scores, read_scores
from lm_eval_so.runner.errors import ConfigError
from lm_eval_so.runner.host.output import show, tell
from lm_eval_so.runner.host.private import make_private

_STDOUT: Final = "-"


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes the file and prints its path.

    Returns:
        0; 2 with one sentence if it could not be carried out, 130 for Ctrl-C.
    """
    return carry_out(lambda: _export(_parser().parse_args(arguments)))


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="lm-eval-so export",
        allow_abbrev=False,
        description="Writes the results of runs for a spreadsheet, a program or another tool. A "
        "file of the same name is replaced.",
    )
    add = parser.add_argument
    add(
        "folders",
        metavar="DIR",
        nargs="*",
        type=Path,
        help="a run directory, a folder of runs at any depth, or a sweep's folder or sweep.json "
        "(default: the newest run or sweep in outputs)",
    )
    add("--to", metavar="FORMAT", required=True, help=", ".join(FORMATS))
    add(
        "-o",
        "--output",
        metavar="FILE",
        help="where it is written, - for standard output (default: results.csv and the like, in "
        "the working directory); with --to inspect and several runs, a folder",
    )
    add(
        "--scores",
        metavar="FILE",
        action="append",
        default=[],
        type=Path,
        help="JSON lines with request_key (or sample_id[, repeat, cell]) and numbers or booleans, "
        "which become columns (score.NAME); can be repeated",
    )
    return parser


def _export(flags: argparse.Namespace) -> None:
    chosen = format_of(flags.to)
    cells = open_cells(flags.folders)
    scores = read_scores(flags.scores)
    make_private(any(cell.metadata.options.get("private", True) for cell in cells))
    if flags.output == _STDOUT:
        _to_stdout(chosen, flags.to, Export(cells, scores))
        return
    output = Path(flags.output or chosen.file)
    if chosen.of_one_cell and len(cells) > 1:
        suffix = Path(chosen.file).suffix
        folder = output.with_suffix("") if output.suffix == suffix else output
        with made(folder):
            _write(chosen, _files_in(folder, suffix, cells), scores, flags)
    else:
        _write(chosen, {output: cells}, scores, flags)


def _write(
    chosen: Format, written: dict[Path, list[Cell]], scores: Scores, flags: argparse.Namespace
) -> None:
    cells = [cell for own in written.values() for cell in own]
    for path in written:
        check_output(path, (cell.directory for cell in cells), flags.folders, flags.scores)
        if path.is_dir():
            raise ConfigError(f"-o {path} is a directory; add the name of a file")
    for path, own in written.items():
        export = Export(own, scores)
        with opened(path) as file:
            chosen.writer()(export, file)
        _tell_notes(export)
        show(path)


def _to_stdout(chosen: Format, name: str, export: Export) -> None:
    if not chosen.is_text:
        raise ConfigError(f"--to {name} is no text, and cannot go to standard output; add -o FILE")
    with standard_output() as stream:
        chosen.writer()(export, stream)
    _tell_notes(export)


def _files_in(folder: Path, suffix: str, cells: Sequence[Cell]) -> dict[Path, list[Cell]]:
    """A file for each cell, named as its directory."""
    files: dict[Path, list[Cell]] = {}
    for cell in cells:
        name, number = cell.directory.name, 1
        while (path := folder / f"{name}{suffix}") in files:
            number += 1
            name = f"{cell.directory.name}-{number}"
        files[path] = [cell]
    return files


def _tell_notes(export: Export) -> None:
    if export.has_missed_scores:
        export.notes.append("no result is one of those that --scores names")
    for note in export.notes:
        tell(f"note: {note}")
