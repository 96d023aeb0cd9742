"""The sweeps of a folder: which of its runs are the cells of each."""

import os
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from lm_eval_so.report.recorded_sweep import RecordedCell, read_recorded_sweep
from lm_eval_so.runner.errors import StoreError
from lm_eval_so.runner.sweep.record import RECORD

_DIGEST = re.compile("[0-9a-f]{12}")
_EARLIEST = datetime.fromisoformat("0001-01-02T00:00:00+00:00")


class FoundSweep(NamedTuple):
    """A record of a sweep.

    Attributes:
        id: Stands for it in addresses.
        shown: The path within the folder.
        name: Its own, or what varies in it.
        runs: Ids of those of its cells that were found, in its order.
        cells: How many it has.
        problem: Why its record cannot be read.
    """

    id: str
    shown: str
    name: str
    runs: tuple[str, ...] = ()
    cells: int = 0
    started_at: datetime = _EARLIEST
    problem: str | None = None


def read_sweep(folder: Path, sweep_id: str, shown: str, runs: Mapping[Path, str]) -> FoundSweep:
    """The sweep whose record is in the folder.

    Args:
        folder: With all links resolved.
        sweep_id: Stands for it.
        shown: The path to be shown.
        runs: Ids of the runs that were found, by their path with all links resolved.
    """
    try:
        record = read_recorded_sweep(folder / RECORD)
    except StoreError as error:
        return FoundSweep(sweep_id, shown, folder.name, problem=str(error))
    found = (_found(cell.directory, folder, runs) for cell in record.cells if cell.directory)
    own = tuple(dict.fromkeys(run for run in found if run is not None))
    name = _name(folder.name, record.cells)
    return FoundSweep(sweep_id, shown, name, own, len(record.cells), record.started_at)


def _name(given: str, cells: Sequence[RecordedCell]) -> str:
    """The name that a person gave; else, of a digest, the settings that vary."""
    if not _DIGEST.fullmatch(given):
        return given
    return ", ".join(dict.fromkeys(key for cell in cells for key in cell.settings)) or given


def _found(typed: str, folder: Path, runs: Mapping[Path, str]) -> str | None:
    """The run that a record names: by a path as it was typed, on a machine that may be another.

    So its last parts are looked for around the record, the longest first.
    """
    own = runs.get(Path(os.path.realpath(typed)))
    if own is not None:
        return own
    parts = Path(typed).parts
    for start in range(len(parts)):
        for parent in folder.parents:
            run = runs.get(parent.joinpath(*parts[start:]))
            if run is not None:
                return run
    return None
