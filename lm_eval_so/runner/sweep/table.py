"""Rows as a table for a person, and as CSV for a program."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from lm_eval_so.runner.progress.units import milliseconds, number
from lm_eval_so.runner.sweep.rows import Row

_NUMBERS = [
    "ok",
    "failed",
    "owed",
    "truncated",
    "refused",
    "empty",
    "latency_p50_ms",
    "latency_p99_ms",
    "input_tokens",
    "output_tokens",
    "cost_usd",
    "results_per_s",
]
_UNBOUNDED = 10_000
_WIDTH = 200  # characters, if the table is not printed on a terminal


class _Optional(NamedTuple):
    """Columns that are shown only where some row has something for them."""

    cut: bool
    objective: bool


def console_for(*, stderr: bool = False) -> Console:
    """A console that does not wrap a table in a file or a pipe at 80 characters."""
    console = Console(stderr=stderr)
    return console if console.is_terminal else Console(stderr=stderr, width=_WIDTH)


def print_table(rows: Sequence[Row], console: Console) -> None:
    """Prints the rows with the run directories, and below them the errors of failed cells.

    The directories are in the last column, or below the table if the terminal is narrow.
    """
    root = _root(rows)
    places = [_place(row, root) for row in rows]
    optional = _optional(rows)
    table = _table(rows, optional)
    table.add_column(f"in {root}" if root else "directory", no_wrap=True)
    for row, place in zip(rows, places, strict=True):
        table.add_row(*_cells(row, optional), place)
    unbounded = console.options.update(max_width=_UNBOUNDED)
    if Measurement.get(console, unbounded, table).maximum <= console.width:
        console.print(table, markup=False, highlight=False)
    else:
        table = _table(rows, optional)
        for row in rows:
            table.add_row(*_cells(row, optional))
        console.print(table, markup=False, highlight=False)
        for row in rows:
            console.print(f"{row.label}: {row.directory or '-'}", soft_wrap=True, markup=False)
    for row in rows:
        if row.error:
            line = f"{row.state}: {row.label or row.directory}: {row.error}"
            console.print(line, soft_wrap=True, markup=False, highlight=False)


def _table(rows: Sequence[Row], optional: _Optional) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0))
    for name in rows[0].settings if rows else []:
        table.add_column(name, overflow="fold")
    table.add_column("state", no_wrap=True)
    cut = ("cut",) if optional.cut else ()
    objective = ("objective",) if optional.objective else ()
    names = ("p50", "p99", "tokens in", "out", "USD", "per s")
    for name in ("ok", "failed", "owed", *cut, *names, *objective):
        table.add_column(name, justify="right", no_wrap=True)
    return table


def csv_text(rows: Sequence[Row]) -> str:
    """The rows as CSV with a header; unknown values are empty."""
    settings = list(rows[0].settings) if rows else []
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    more = ("state", *_NUMBERS, "exit_code", "error", "directory", "objective", "verdict")
    writer.writerow([*settings, *more])
    for row in rows:
        values = [getattr(row, name) for name in more]
        writer.writerow([*row.settings.values(), *values])
    return text.getvalue()


def _optional(rows: Sequence[Row]) -> _Optional:
    return _Optional(
        cut=any(row.truncated for row in rows),
        objective=any(row.objective is not None for row in rows),
    )


def _cells(row: Row, optional: _Optional) -> list[str]:
    return [
        *map(str, row.settings.values()),
        row.shown_state,
        *(_count(n) for n in (row.ok, row.failed, row.owed)),
        *([_count(row.truncated)] if optional.cut else []),
        *(
            "-" if ms is None else milliseconds(ms)
            for ms in (row.latency_p50_ms, row.latency_p99_ms)
        ),
        *(_count(n) for n in (row.input_tokens, row.output_tokens)),
        "-" if row.cost_usd is None else f"{row.cost_usd:,.4g}",
        "-" if row.results_per_s is None else number(row.results_per_s),
        *([_objective(row)] if optional.objective else []),
    ]


def _place(row: Row, root: Path | None) -> str:
    if row.directory is None:
        return "-"
    return str(row.directory.relative_to(root) if root else row.directory)


def _objective(row: Row) -> str:
    return "-" if row.objective is None else f"{row.objective:,.6g}"


def _count(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _root(rows: Sequence[Row]) -> Path | None:
    parents = {row.directory.parent for row in rows if row.directory}
    return parents.pop() if len(parents) == 1 else None
