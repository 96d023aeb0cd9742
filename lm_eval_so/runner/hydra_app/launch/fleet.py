"""Cells in processes of their own, wherever these are: waited for, watched, asked to stop."""

from __future__ import annotations

import signal
import threading
import time
import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from hydra.core.utils import JobStatus

from lm_eval_so.runner.host.output import tell
from lm_eval_so.runner.hydra_app.typed import mask_secret
from lm_eval_so.runner.run.exit_code import ExitCode
from lm_eval_so.runner.run.signals import ONE_REQUEST, InterruptedRunError
from lm_eval_so.runner.sweep.cell import CellOutcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hydra.core.utils import JobReturn

_LOOK_EVERY = 0.25  # seconds
_LAST_WORDS = 5.0
"""Seconds that cells have, once they are asked to give up what is in flight."""


class Fleet(Protocol):
    """All cells of one launch."""

    @property
    def running(self) -> set[int]:
        """Numbers of the cells that have been started and have not ended."""

    def wait(self, seconds: float) -> dict[int, CellOutcome]:
        """The cells that ended since, by number; waits so long for the first."""

    def stop(self) -> None:
        """Starts no further cell, and asks those that run to stop, as SIGTERM does."""

    def kill(self) -> None:
        """Ends the cells at once."""


def killed(why: str) -> CellOutcome:
    """How a cell ended whose process did not say so itself; what it has not done is owed."""
    return CellOutcome(ExitCode.NOT_CARRIED_OUT, why, state="owed")


def ended_of(returned: JobReturn) -> CellOutcome:
    """How a cell ended, by what Hydra returns of it."""
    if returned.status == JobStatus.COMPLETED and isinstance(returned.return_value, CellOutcome):
        return returned.return_value
    try:
        result = returned.return_value
    except Exception as bug:  # noqa: BLE001 - one cell's; the others have their turn
        tell(mask_secret("".join(traceback.format_exception(bug))))
        sentence = mask_secret(f"a bug: {type(bug).__name__}: {bug}")
        return CellOutcome(ExitCode.NOT_CARRIED_OUT, sentence)
    return CellOutcome(ExitCode.NOT_CARRIED_OUT, f"a cell returned {result!r}")


def to_the_end(fleet: Fleet, look: Callable[[], None]) -> tuple[dict[int, CellOutcome], int | None]:
    """Waits for all cells.

    The first signal is passed on to them: what is in flight is waited for. The second ends them.

    Args:
        fleet: The cells, started.
        look: Called again and again meanwhile.

    Returns:
        How those ended that were started, by number; and the exit code of a signal, if one came.
    """
    ended: dict[int, CellOutcome] = {}
    with _noted_signals() as noted:
        stopping = False
        while fleet.running:
            if noted and not stopping:
                stopping = True
                tell("interrupted: waiting for the cells (once more to end them at once)")
                fleet.stop()
            if _insists(noted):
                ended |= _give_up(fleet)
                break
            ended |= fleet.wait(_LOOK_EVERY)
            look()
        return ended, InterruptedRunError(signal.Signals(noted[0][0])).exit_code if noted else None


def _insists(noted: list[tuple[int, float]]) -> bool:
    """Whether one of the signals is a second request: another Ctrl-C, or one that comes later."""
    return any(
        at - noted[0][1] >= ONE_REQUEST or number == noted[0][0] == signal.SIGINT
        for number, at in noted[1:]
    )


def _give_up(fleet: Fleet) -> dict[int, CellOutcome]:
    ended: dict[int, CellOutcome] = {}
    fleet.stop()  # they have had one signal: this one gives up what is in flight
    deadline = time.monotonic() + _LAST_WORDS
    while fleet.running and time.monotonic() < deadline:
        ended |= fleet.wait(_LOOK_EVERY)
    left = set(fleet.running)
    fleet.kill()
    return ended | {number: killed("ended at once, by a second signal") for number in left}


@contextmanager
def _noted_signals() -> Iterator[list[tuple[int, float]]]:
    """The signals that ask for an end, and when each came, instead of what they do."""
    noted: list[tuple[int, float]] = []
    if threading.current_thread() is not threading.main_thread():
        yield noted
        return

    def note(number: int, _: object) -> None:
        noted.append((number, time.monotonic()))

    numbers = [
        signal.SIGINT,
        signal.SIGTERM,
        *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else []),
    ]
    before = {
        number: signal.signal(number, note)
        for number in numbers
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield noted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
