"""``lm-eval-so export DIR... --to FORMAT``: results for a spreadsheet, a program, another tool."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from lm_eval_so.report.export.cell import Cell, open_cells
from lm_eval_so.report.export.export import Export
from lm_eval_so.report.export.output import opened, standard_output
from lm_eval_so.report.export.registry import FORMATS, Format, format_of
from lm_eval_so.report.scores import read_scores
from lm_eval_so.runner.errors import ConfigError, LmEvalError
from lm_eval_so.runner.host.output import show, tell
from lm_eval_so.runner.run.exit_code import ExitCode
from lm_eval_so.runner.store.metadata import METADATA
from lm_eval_so.runner.store.results import RESULTS

_STDOUT: Final = "-"


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes the file and prints its path; returns the exit code: 0, or 2 with one sentence."""
    try:
        flags = _parser().parse_args(arguments)
    except SystemExit as end:  # --help, or what argparse has told
        return int(end.code or ExitCode.OK)
    try:
        _export(flags)
    except LmEvalError as error:
        tell(f"error: {error}")
        return ExitCode.NOT_CARRIED_OUT
    except KeyboardInterrupt:
        tell("error: interrupted; nothing was written")
        return ExitCode.INTERRUPTED
    return ExitCode.OK


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
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
    if flags.output == _STDOUT:
        _to_stdout(chosen, flags.to, Export(cells, scores))
        return
    output = Path(flags.output or chosen.file)
    if chosen.of_one_cell and len(cells) > 1:
        written = _folder_of(chosen, cells, output)
    else:
        written = {output: cells}
    _check_inputs(written, cells, flags.scores)
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


def _folder_of(chosen: Format, cells: Sequence[Cell], output: Path) -> dict[Path, list[Cell]]:
    """A file for each cell, in a folder."""
    suffix = Path(chosen.file).suffix
    folder = output.with_suffix("") if output.suffix == suffix else output
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LmEvalError(f"cannot write {folder}: {error.strerror}") from error
    names = [cell.directory.name for cell in cells]
    return {
        folder / f"{name}{'' if names.count(name) == 1 else f'-{number}'}{suffix}": [cell]
        for number, (name, cell) in enumerate(zip(names, cells, strict=True), start=1)
    }


def _check_inputs(
    written: dict[Path, list[Cell]], cells: list[Cell], scores: Sequence[Path]
) -> None:
    """No file that is read is replaced."""
    read = [cell.directory / name for cell in cells for name in (RESULTS, METADATA)]
    inputs = {path.resolve() for path in (*read, *scores)}
    for path in written:
        if path.resolve() in inputs:
            raise ConfigError(f"-o {path} is what the export reads; choose another file")
        if path.is_dir():
            raise ConfigError(f"-o {path} is a directory; add the name of a file")


def _tell_notes(export: Export) -> None:
    if export.has_missed_scores:
        export.notes.append("no result is one of those that --scores names")
    for note in export.notes:
        tell(f"note: {note}")
