"""A cell of a sweep: its place, and how it ended."""

from pathlib import Path
from typing import NamedTuple


class CellPlace(NamedTuple):
    """A cell's place in its sweep.

    Attributes:
        number: From 1.
        total: Cells in the sweep; None if its sweeper does not say.
        label: What distinguishes it from the other cells.
        parallel: Whether other cells run at the same time.
        sweep: Folder of the sweep, shared by its cells.
    """

    number: int
    total: int | None
    label: str
    parallel: bool
    sweep: Path


class CellOutcome(NamedTuple):
    """How a run ended.

    Attributes:
        error: Why it could not be finished.
        objective: The number that the config's ``objective`` names.
        state: The state that a table shows if the run directory cannot tell, as after a kill.
    """

    exit_code: int
    error: str | None = None
    objective: float | None = None
    state: str | None = None
