"""What a sweep adds to the rules of `run.signals`: in its command, and in the process of a cell."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lm_eval_so.runner.run.signals import StopRequests, stop_signals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_TIME_IS_UP = signal.SIGUSR2
"""submitit sends it to a job that will be ended: its time is up, or another job goes first."""
_no_more_cells = False


@contextmanager
def noted_requests() -> Iterator[list[int]]:
    """In the command, while cells run elsewhere: gives the requests to stop, as they come.

    Each is the number of its signal. Outside the main thread, where Python delivers no signals,
    none comes.
    """
    noted: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield noted
        return
    requests = StopRequests()

    def note(number: int, _: object) -> None:
        if requests.is_new(number):
            noted.append(number)

    before = {number: signal.signal(number, note) for number in stop_signals()}
    try:
        yield noted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def unheard_interrupts() -> Iterator[None]:
    """Processes started within do not hear Ctrl-C of the terminal, which would end them at once."""
    before = signal.getsignal(signal.SIGINT)
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    except ValueError:  # not in the main thread
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def heed_signals_between_cells() -> None:
    """In the process of a cell: from a signal before or after a run on, no cell begins."""
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, begin_no_more_cells)


def begin_no_more_cells(*_: object) -> None:
    """No further cell begins in this process."""
    global _no_more_cells  # noqa: PLW0603 - of this process, as signals are
    _no_more_cells = True


def may_begin_cell() -> bool:
    """Whether no signal came before or after a cell of this process."""
    return not _no_more_cells


@contextmanager
def drained_when_time_is_up() -> Iterator[list[Callable[[], None]]]:
    """In a job: a run is drained, as by SIGTERM, when the cluster says that the time is up.

    Gives what submitit does at that signal, to be called afterwards; nothing if it did not come.
    """
    theirs = signal.getsignal(_TIME_IS_UP)
    postponed: list[Callable[[], None]] = []

    def drain(number: int, _: object) -> None:
        if callable(theirs) and not postponed:
            postponed.append(lambda: theirs(number, None))
            os.kill(os.getpid(), signal.SIGTERM)

    signal.signal(_TIME_IS_UP, drain)
    try:
        yield postponed
    finally:
        signal.signal(_TIME_IS_UP, theirs)
