"""The sweeps of a folder: which of its runs are the cells of each."""

import os
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import AwareDatetime, ConfigDict, Field, ValidationError

from lm_eval_so.runner.models import Value
from lm_eval_so.runner.sweep.record import RECORD
from lm_eval_so.runner.text.one_line import one_line

_LONGEST_REASON = 300  # characters
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


class _Cell(Value):
    model_config = ConfigDict(extra="ignore")

    directory: str | None = None
    settings: dict[str, Any] = Field(default_factory=dict)


class _Record(Value):
    model_config = ConfigDict(extra="ignore")

    started_at: AwareDatetime
    cells: tuple[_Cell, ...]


def read_sweep(folder: Path, sweep_id: str, shown: str, runs: Mapping[Path, str]) -> FoundSweep:
    """The sweep whose record is in the folder.

    Args:
        folder: With all links resolved.
        sweep_id: Stands for it.
        shown: The path to be shown.
        runs: Ids of the runs that were found, by their path with all links resolved.
    """
    try:
        record = _Record.model_validate_json((folder / RECORD).read_bytes())
    except OSError as error:
        return FoundSweep(
            sweep_id, shown, folder.name, problem=f"{RECORD} cannot be read: {error.strerror}"
        )
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        reason = one_line(f"{where}: {first['msg']}".removeprefix(": "), _LONGEST_REASON)
        return FoundSweep(sweep_id, shown, folder.name, problem=f"{RECORD} is damaged: {reason}")
    found = (_found(cell.directory, folder, runs) for cell in record.cells if cell.directory)
    own = tuple(dict.fromkeys(run for run in found if run is not None))
    name = _name(folder.name, record.cells)
    return FoundSweep(sweep_id, shown, name, own, len(record.cells), record.started_at)


def _name(given: str, cells: Sequence[_Cell]) -> str:
    """The name that a person gave; else, of a digest, the settings that vary."""
    if not _DIGEST.fullmatch(given):
        return given
    return ", ".join(dict.fromkeys(key for cell in cells for key in cell.settings)) or given


def _found(typed: str, folder: Path, runs: Mapping[Path, str]) -> str | None:
    """The run that a record names: by a path as it was typed, on a machine that may be another.

    So its last parts are looked for around the record, the longest first.
    """
    if "\0" in typed:
        return None
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
