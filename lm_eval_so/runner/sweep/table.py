"""Rows as a table for a person, and as CSV for a program."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from lm_eval_so.runner.progress.units import milliseconds, number
from lm_eval_so.runner.sweep.rows import Row

_NUMBERS = [
    "ok",
    "failed",
    "owed",
    "latency_p50_ms",
    "latency_p99_ms",
    "input_tokens",
    "output_tokens",
    "cost_usd",
    "results_per_s",
]
_UNBOUNDED = 10_000
_WIDTH = 200  # characters, if the table is not printed on a terminal


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
    objective = _has_objective(rows)
    table = _table(rows)
    table.add_column(f"in {root}" if root else "directory", no_wrap=True)
    for row, place in zip(rows, places, strict=True):
        table.add_row(*_cells(row, objective=objective), place)
    unbounded = console.options.update(max_width=_UNBOUNDED)
    if Measurement.get(console, unbounded, table).maximum <= console.width:
        console.print(table, markup=False, highlight=False)
    else:
        table = _table(rows)
        for row in rows:
            table.add_row(*_cells(row, objective=objective))
        console.print(table, markup=False, highlight=False)
        for row in rows:
            console.print(f"{row.label}: {row.directory or '-'}", soft_wrap=True, markup=False)
    for row in rows:
        if row.error:
            line = f"{row.state}: {row.label or row.directory}: {row.error}"
            console.print(line, soft_wrap=True, markup=False, highlight=False)


def _table(rows: Sequence[Row]) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0))
    for name in rows[0].settings if rows else []:
        table.add_column(name, overflow="fold")
    table.add_column("state", no_wrap=True)
    for name in ("ok", "failed", "owed", "p50", "p99", "tokens in", "out", "USD", "per s"):
        table.add_column(name, justify="right", no_wrap=True)
    if _has_objective(rows):
        table.add_column("objective", justify="right", no_wrap=True)
    return table


def csv_text(rows: Sequence[Row]) -> str:
    """The rows as CSV with a header; unknown values are empty."""
    settings = list(rows[0].settings) if rows else []
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    more = (*_NUMBERS, "exit_code", "error", "directory", "objective")
    writer.writerow([*settings, "state", *more])
    for row in rows:
        numbers = [getattr(row, name) for name in more]
        writer.writerow([*row.settings.values(), row.state, *numbers])
    return text.getvalue()


def _has_objective(rows: Sequence[Row]) -> bool:
    return any(row.objective is not None for row in rows)


def _cells(row: Row, *, objective: bool) -> list[str]:
    return [
        *map(str, row.settings.values()),
        row.state,
        *(_count(n) for n in (row.ok, row.failed, row.owed)),
        *(
            "-" if ms is None else milliseconds(ms)
            for ms in (row.latency_p50_ms, row.latency_p99_ms)
        ),
        *(_count(n) for n in (row.input_tokens, row.output_tokens)),
        "-" if row.cost_usd is None else f"{row.cost_usd:,.4g}",
        "-" if row.results_per_s is None else number(row.results_per_s),
        *(["-" if row.objective is None else f"{row.objective:,.6g}"] if objective else []),
    ]


def _place(row: Row, root: Path | None) -> str:
    if row.directory is None:
        return "-"
    return str(row.directory.relative_to(root) if root else row.directory)


def _count(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _root(rows: Sequence[Row]) -> Path | None:
    parents = {row.directory.parent for row in rows if row.directory}
    return parents.pop() if len(parents) == 1 else None
