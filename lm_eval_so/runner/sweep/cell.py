"""A cell of a sweep: where it stands, and how it ended."""

from pathlib import Path
from typing import NamedTuple


class CellPlace(NamedTuple):
    """A cell's place in its sweep.

    Attributes:
        number: From 1.
        total: Cells in the sweep; None where its sweeper does not tell.
        label: What sets it apart.
        parallel: Whether other cells run at the same time.
        sweep: Folder of the sweep, which its cells share.
    """

    number: int
    total: int | None
    label: str
    parallel: bool
    sweep: Path


class CellOutcome(NamedTuple):
    """How a run ended.

    Attributes:
        error: Why it was not carried out to its end.
        objective: The number that the config's ``objective`` names.
        state: What a table says of it, where its run directory does not know: it was killed.
    """

    exit_code: int
    error: str | None = None
    objective: float | None = None
    state: str | None = None
