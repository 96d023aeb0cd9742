"""Ctrl-C and SIGTERM as requests to stop."""

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_EXIT_CODE_BASE = 128


class InterruptedRunError(Exception):
    """A signal ended the run.

    Attributes:
        exit_code: 130 for Ctrl-C, 143 for SIGTERM.
    """

    def __init__(self, number: signal.Signals) -> None:
        super().__init__("interrupted" if number is signal.SIGINT else "terminated")
        self.exit_code = _EXIT_CODE_BASE + number


@contextmanager
def on_signal(request: Callable[[InterruptedRunError], None]) -> Iterator[None]:
    """Calls ``request`` in the running event loop for each signal, instead of an exception.

    In a thread other than the main one, where Python delivers no signals, it does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()

    def handle(number: int, _: object) -> None:
        loop.call_soon_threadsafe(request, InterruptedRunError(signal.Signals(number)))

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
