"""Waits for cells in other processes, wherever these are; stops them at a signal."""

from __future__ import annotations

import time
import traceback
from typing import TYPE_CHECKING, NamedTuple, Protocol

from hydra.core.utils import JobStatus

from lm_eval_so.runner.host.output import tell
from lm_eval_so.runner.hydra_app.launch.signals import noted_requests
from lm_eval_so.runner.hydra_app.typed_secrets import mask_secret
from lm_eval_so.runner.run.exit_code import ExitCode
from lm_eval_so.runner.run.signals import ONE_REQUEST
from lm_eval_so.runner.sweep.cell import CellOutcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from hydra.core.utils import JobReturn

_LOOK_EVERY = 0.25  # seconds
_LAST_WORDS = 5.0
"""Seconds that cells have to end after a second signal."""


class Launched(NamedTuple):
    """What became of the cells of one launch.

    Attributes:
        outcomes: Of the cells that were started, by number.
        signal: Exit code of the signal that ended the launch; None if none came.
    """

    outcomes: dict[int, CellOutcome]
    signal: int | None = None


class Fleet(Protocol):
    """All cells of one launch."""

    @property
    def running(self) -> set[int]:
        """Numbers of the cells that have been started and have not ended."""

    def wait(self, seconds: float) -> dict[int, CellOutcome]:
        """The cells that ended since, by number; waits up to so many seconds for the first."""

    def stop(self) -> None:
        """Starts no further cell, and asks those that run to stop, as SIGTERM does."""

    def kill(self) -> None:
        """Ends the cells at once."""


def killed(why: str) -> CellOutcome:
    """The outcome of a cell whose process could not tell it; what it has not done is owed."""
    return CellOutcome(ExitCode.NOT_CARRIED_OUT, why, state="owed")


def outcome_of(returned: JobReturn) -> CellOutcome:
    """The outcome of a cell, from what Hydra returns."""
    if returned.status == JobStatus.COMPLETED and isinstance(returned.return_value, CellOutcome):
        return returned.return_value
    try:
        result = returned.return_value
    except Exception as bug:  # noqa: BLE001 - one cell's; the others have their turn
        tell(mask_secret("".join(traceback.format_exception(bug))))
        sentence = mask_secret(f"a bug: {type(bug).__name__}: {bug}")
        return CellOutcome(ExitCode.NOT_CARRIED_OUT, sentence)
    return CellOutcome(ExitCode.NOT_CARRIED_OUT, f"a cell returned {result!r}")


def wait_for_all(fleet: Fleet, look: Callable[[], None]) -> Launched:
    """Waits for all cells; `run.signals` has the rules of how a signal ends them.

    Args:
        fleet: The cells, started.
        look: Called again and again meanwhile.
    """
    outcomes: dict[int, CellOutcome] = {}
    with noted_requests() as requests:
        asked_at: float | None = None
        while fleet.running:
            if requests and asked_at is None:
                asked_at = time.monotonic()
                tell("interrupted: waiting for the cells (once more to end them at once)")
                fleet.stop()
            if asked_at is not None and len(requests) > 1:
                outcomes |= _give_up(fleet, asked_at)
                break
            outcomes |= fleet.wait(_LOOK_EVERY)
            look()
        return Launched(outcomes, ExitCode.of_signal(requests[0]) if requests else None)


def _give_up(fleet: Fleet, asked_at: float) -> dict[int, CellOutcome]:
    # Cells take what comes sooner after the first signal for the same request.
    outcomes = _wait_until(asked_at + ONE_REQUEST + _LOOK_EVERY, fleet)
    fleet.stop()
    outcomes |= _wait_until(time.monotonic() + _LAST_WORDS, fleet)
    left = set(fleet.running)
    fleet.kill()
    return outcomes | {number: killed("ended at once, by a second signal") for number in left}


def _wait_until(deadline: float, fleet: Fleet) -> dict[int, CellOutcome]:
    outcomes: dict[int, CellOutcome] = {}
    while fleet.running and time.monotonic() < deadline:
        outcomes |= fleet.wait(_LOOK_EVERY)
    return outcomes
