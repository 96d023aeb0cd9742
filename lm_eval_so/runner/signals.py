"""Ctrl-C, SIGTERM and SIGHUP as requests to stop.

The first is a request to the event loop: nothing more is sent, what is in flight is waited for. The
second gives that up: another Ctrl-C, or any signal two seconds later, since a cluster's manager
sends SIGTERM twice within a moment. A loop that takes no notice is blocked by a call, to a file
say: the error is then raised in the place where it hangs. In a process of the command line the
second signal is the end within seconds, whatever blocks.
"""

from __future__ import annotations

import _thread
import os
import signal
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator

_EXIT_CODE_BASE = 128
_PATIENCE = 2.0
"""Seconds that the event loop has to take notice; a cluster's manager kills some seconds later."""
ONE_REQUEST = 2.0
"""Seconds in which signals are one request; but for a second Ctrl-C, which a person pressed."""
_LAST_WORDS = 4.0
"""Seconds from the second signal to the end of the process: for the files, and for MLflow."""
_WORDS = {"SIGINT": "interrupted", "SIGTERM": "terminated", "SIGHUP": "hung up"}
_is_ours = False


class InterruptedRunError(Exception):
    """A signal ended the run.

    Attributes:
        exit_code: 130 for Ctrl-C, 143 for SIGTERM, 129 for SIGHUP.
    """

    def __init__(self, number: signal.Signals) -> None:
        super().__init__(_WORDS[number.name])
        self.exit_code = _EXIT_CODE_BASE + number


def by_signal(exit_code: int) -> bool:
    """Whether a signal ended what left this exit code."""
    return exit_code > _EXIT_CODE_BASE


def own_process() -> None:
    """This process is the command line's: a second signal may end it, with all that is in it."""
    global _is_ours  # noqa: PLW0603 - of this process, as the signals are
    _is_ours = True


@contextmanager
def on_signal(
    request: Callable[[InterruptedRunError], None], *, patience: float = _PATIENCE
) -> Iterator[None]:
    """Calls ``request`` in the running event loop for each signal, instead of an exception.

    In a thread other than the main one, where Python delivers no signals, it does nothing.

    Args:
        request: Takes note of a signal.
        patience: Seconds that the loop has for it.

    Raises:
        InterruptedRunError: In the place where the loop is blocked; the second time, what no
            ``except Exception`` catches: KeyboardInterrupt, or SystemExit.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    import asyncio  # noqa: PLC0415 - not for --help

    listener = _Listener(asyncio.get_running_loop(), request, patience)
    before = {number: signal.signal(number, listener.handle) for number in _stopping()}
    try:
        yield
    finally:
        listener.closed.set()
        if listener.received and _is_ours:
            before[signal.SIGINT] = _interrupt_for_good  # what follows may block too
        for number, handler in before.items():
            signal.signal(number, handler)


def _stopping() -> list[signal.Signals]:
    """The signals that ask for an end; ``nohup`` has SIGHUP ignored, and so it stays."""
    hang_up: signal.Signals | None = getattr(signal, "SIGHUP", None)  # not on Windows
    if hang_up is None or signal.getsignal(hang_up) is signal.SIG_IGN:
        return [signal.SIGINT, signal.SIGTERM]
    return [signal.SIGINT, signal.SIGTERM, hang_up]


class _Listener:
    """Passes signals on, and insists where they are not heard."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        request: Callable[[InterruptedRunError], None],
        patience: float,
    ) -> None:
        self._loop = loop
        self._request = request
        self._patience = patience
        self._overdue: BaseException | None = None
        self.received = 0
        self._first: tuple[int, float] | None = None
        self.closed = threading.Event()

    def handle(self, number: int, _: object) -> None:
        """The signal's handler."""
        overdue, self._overdue = self._overdue, None
        if overdue is not None:
            raise overdue
        if self._is_the_same_request(number):
            return
        self.received += 1
        error, heard = InterruptedRunError(signal.Signals(number)), threading.Event()
        self._loop.call_soon_threadsafe(self._take, error, heard)
        again = self.received > 1
        if again and _is_ours:
            _end_soon(error.exit_code)
        _in_thread(self._insist, number, _for_good(error) if again else error, heard)

    def _is_the_same_request(self, number: int) -> bool:
        now = time.monotonic()
        if self._first is None:
            self._first = number, now
            return False
        first, at = self._first
        return now - at < ONE_REQUEST and not number == first == signal.SIGINT

    def _take(self, error: InterruptedRunError, heard: threading.Event) -> None:
        heard.set()
        self._request(error)

    def _insist(self, number: int, overdue: BaseException, heard: threading.Event) -> None:
        if heard.wait(self._patience) or self.closed.is_set():
            return
        self._overdue = overdue
        _to_main_thread(number)


def _for_good(error: InterruptedRunError) -> BaseException:
    if error.exit_code == _EXIT_CODE_BASE + signal.SIGINT:
        return KeyboardInterrupt()
    return SystemExit(error.exit_code)


def _to_main_thread(number: int) -> None:
    """Delivers a signal there, so that a system call that waits there returns."""
    ident = threading.main_thread().ident
    if ident is not None and hasattr(signal, "pthread_kill"):
        signal.pthread_kill(ident, number)
    else:
        _thread.interrupt_main(signal.Signals(number))


def _interrupt_for_good(number: int, _: object) -> None:
    """SIGINT after the run, which has been asked to stop before."""
    _end_soon(_EXIT_CODE_BASE + number)
    raise KeyboardInterrupt


def _end_soon(exit_code: int) -> None:
    def end() -> None:
        time.sleep(_LAST_WORDS)
        os._exit(exit_code)

    _in_thread(end)


def _in_thread(work: Callable[..., object], *arguments: Any) -> None:  # noqa: ANN401 - the work's own
    threading.Thread(target=work, args=arguments, daemon=True).start()
