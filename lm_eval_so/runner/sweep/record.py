"""``sweep.json`` and ``sweep.csv``: the cells of a sweep, and how each of them ended."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import orjson

from lm_eval_so.runner.config.compose import EncodedJson
from lm_eval_so.runner.config.run_path import safe_name
from lm_eval_so.runner.config.schema import RunPlan
from lm_eval_so.runner.dataset.source import locate
from lm_eval_so.runner.errors import ConfigError, StoreError
from lm_eval_so.runner.host.private import make_directory
from lm_eval_so.runner.run.exit_code import ExitCode
from lm_eval_so.runner.run.placement import directories_of
from lm_eval_so.runner.store.files import replace_file, unwritable
from lm_eval_so.runner.store.metadata import METADATA
from lm_eval_so.runner.sweep.cell import CellOutcome
from lm_eval_so.runner.sweep.rows import Row, Settings, read_row, varying
from lm_eval_so.runner.sweep.table import console_for, csv_text, print_table
from lm_eval_so.runner.text.one_line import one_line

RECORD, TABLE = "sweep.json", "sweep.csv"
SCHEMA_VERSION = 1
_TEXTS = ("prompt.system", "prompt.template")
_LONGEST_TEXT = 40  # characters of one in a table


class PlannedCell(NamedTuple):
    """A cell before it runs.

    Attributes:
        public_overrides: The overrides without secrets.
        directory: None if its backend or dataset cannot be used; the cell reports it when it runs.
    """

    overrides: list[str]
    public_overrides: list[str]
    settings: Settings
    plan: RunPlan
    directory: Path | None


def planned(
    cells: Sequence[tuple[str | None, list[str], RunPlan]],
    mask: Callable[[Sequence[str]], list[str]],
) -> list[PlannedCell]:
    """Finds the run directory of each cell.

    Args:
        cells: Name, overrides and plan of each.
        mask: Takes secrets out of overrides.

    Raises:
        ConfigError: Two cells would write into one directory.
    """
    public = [mask(overrides) for _, overrides, _ in cells]
    settings = varying(
        [_settings(name, shown) for (name, _, _), shown in zip(cells, public, strict=True)]
    )
    directories = directories_of([plan for _, _, plan in cells])
    found: dict[Path, int] = {}
    result = []
    for index, ((_, overrides, plan), own) in enumerate(zip(cells, settings, strict=True)):
        directory = directories[index]
        if directory is not None:
            other = found.setdefault(directory.absolute(), index)
            if other != index and plan.output_dir is not None:
                raise ConfigError(
                    f"cells {other + 1} and {index + 1} would both write to output_dir={directory}"
                    "; leave it out, or give each cell its own, such as output_dir='out/${model}'"
                )
            if other != index:
                raise ConfigError(
                    f"cells {other + 1} and {index + 1} are the same run, {directory}: the "
                    f"settings that differ ({_differing(settings[other], own)}) do not change the "
                    "answers; to keep both, set variant, such as "
                    "variant='${runner.max_concurrency}'"
                )
        result.append(PlannedCell(overrides, public[index], own, plan, directory))
    return result


class SweepRecord:
    """The record of one sweep. The same cells have the same record, in any order.

    Args:
        cells: All cells, or those of a search so far; at least one unless ``folder`` is given.
        resume_command: The command that resumes the sweep.
        folder: Where the record is kept; None derives it from the cells.
    """

    def __init__(
        self, cells: Sequence[PlannedCell], resume_command: str, folder: Path | None = None
    ) -> None:
        self._cells = list(cells)
        self._resume_command = resume_command
        self._started_at = datetime.now(UTC)
        self.path = folder or _folder(cells)

    def extend(self, cells: Sequence[PlannedCell]) -> None:
        """Adds the next cells of a search."""
        self._cells += cells

    @property
    def labels(self) -> list[str]:
        """One line for each cell."""
        return [read_row(None, cell.settings).label for cell in self._cells]

    @property
    def watched(self) -> list[Path | None]:
        """The run directory of each cell whose progress is shown; None for the others."""
        shown = [cell.plan.options.progress != "none" for cell in self._cells]
        return [
            cell.directory if show else None for cell, show in zip(self._cells, shown, strict=True)
        ]

    @property
    def _has_begun(self) -> bool:
        """Whether the run of some cell has begun, now or before."""
        directories = (cell.directory for cell in self._cells)
        return any(path is not None and (path / METADATA).is_file() for path in directories)

    @property
    def wants_page(self) -> bool:
        """Whether some cell's config asks for the page of the sweep."""
        return any(cell.plan.report.auto for cell in self._cells)

    @property
    def launches(self) -> list[list[str]]:
        """The overrides of each cell; with several datasets, also its directory.

        Such a cell must not choose a directory itself: another with the same dataset id may run at
        the same time.
        """
        one_dataset = len({cell.plan.dataset.path for cell in self._cells}) == 1
        return [
            cell.overrides
            if one_dataset or cell.directory is None or cell.plan.output_dir is not None
            else [*cell.overrides, f"output_dir={EncodedJson.interpolation(str(cell.directory))}"]
            for cell in self._cells
        ]

    def write(self, ended: Mapping[int, CellOutcome] | None = None) -> list[Row]:
        """Writes what is known so far.

        Args:
            ended: How the cells of this command ended, by number; None before the first one has.

        Raises:
            StoreError: It cannot be written.
        """
        rows = [self._row(index, (ended or {}).get(index)) for index in range(len(self._cells))]
        content = {
            "schema_version": SCHEMA_VERSION,
            "command": self._resume_command,
            "started_at": self._started_at,
            "ended_at": None if ended is None else datetime.now(UTC),
            "cells": [
                {"overrides": cell.public_overrides, **row.model_dump(mode="json")}
                for cell, row in zip(self._cells, rows, strict=True)
            ],
        }
        try:
            make_directory(self.path)
        except OSError as error:
            raise unwritable(self.path, error) from error
        json = orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
        replace_file(self.path / RECORD, [json])
        replace_file(self.path / TABLE, [csv_text(rows).encode()])
        return rows

    def finish(self, ended: Mapping[int, CellOutcome], tell_page: Callable[[], None]) -> int:
        """Writes the record, prints the table and how to resume; returns 2 if it cannot be written.

        Args:
            ended: The cells that ran, by number.
            tell_page: Prints where the page of the sweep is; called if there is something to see.
        """
        console = console_for()
        try:
            rows = self.write(ended)
        except StoreError as error:
            console_for(stderr=True).print(f"error: {error}", markup=False, soft_wrap=True)
            return ExitCode.NOT_CARRIED_OUT
        console.print()
        print_table(rows, console)
        console.print(f"sweep     {self.path}", soft_wrap=True, markup=False, highlight=False)
        if self._has_begun:
            tell_page()
        if any(row.exit_code != ExitCode.OK for row in rows):
            console.print(
                f"resume with: {self._resume_command}",
                soft_wrap=True,
                markup=False,
                highlight=False,
            )
        return ExitCode.OK

    def _row(self, index: int, ended: CellOutcome | None) -> Row:
        cell = self._cells[index]
        row = read_row(cell.directory, cell.settings)
        if ended is None:
            return row
        failed = ended.exit_code == ExitCode.NOT_CARRIED_OUT and ended.error
        state = ended.state or ("failed" if failed else row.state)
        return row.model_copy(
            update={
                "exit_code": ended.exit_code,
                "error": ended.error,
                "state": state,
                "objective": ended.objective,
            }
        )


def _settings(name: str | None, overrides: Sequence[str]) -> Settings:
    pairs = (override.lstrip("+~").partition("=") for override in overrides)
    own = {} if name is None else {"cell": name}
    return {**own, **{key: _shown(key, _unquoted(value)) for key, _, value in pairs}}


def _shown(key: str, value: str) -> str:
    """A value for tables; of a long text its beginning, and a digest that tells it from others."""
    if key not in _TEXTS or value == one_line(value, _LONGEST_TEXT):
        return value
    digest = hashlib.sha256(value.encode(errors="surrogateescape")).hexdigest()
    return f"{one_line(value, _LONGEST_TEXT)} {digest[:6]}"


def _unquoted(value: str) -> str:
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
    return value[1:-1] if quoted else value


def _differing(one: Settings, other: Settings) -> str:
    return ", ".join(key for key in one if one[key] != other[key]) or "none"


def _folder(cells: Sequence[PlannedCell]) -> Path:
    datasets = {cell.plan.dataset.path for cell in cells}
    named = sorted(
        str(cell.directory.absolute()) if cell.directory else " ".join(sorted(cell.overrides))
        for cell in cells
    )
    return sweep_folder(cells[0].plan, named, of_one_dataset=len(datasets) == 1)


def sweep_folder(plan: RunPlan, named: Sequence[str], *, of_one_dataset: bool) -> Path:
    """The folder of a sweep's record.

    Args:
        plan: The plan of one cell.
        named: What identifies a sweep without a name.
        of_one_dataset: Whether all cells have one dataset; the record is then in its folder.
    """
    root = plan.output_root
    if of_one_dataset:
        root /= safe_name(locate(plan.dataset).id)
    if plan.sweep_name is not None:
        return root / "sweeps" / safe_name(plan.sweep_name)
    whole = "\n".join(named).encode(errors="surrogateescape")
    return root / "sweeps" / hashlib.sha256(whole).hexdigest()[:12]
