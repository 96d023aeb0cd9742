"""Who handles Ctrl-C, SIGTERM and SIGHUP, the first time and the second: all the rules.

A signal is a request to stop. Further signals are the same request for `ONE_REQUEST` seconds, since
a cluster's manager sends SIGTERM twice within a moment; but a second Ctrl-C is a second request,
since a person pressed it. A SIGHUP that is ignored (``nohup``) stays ignored.

A run in this process (`on_signal`):

- The first request goes to the event loop: nothing more is sent, what is in flight is waited for.
- The second gives up what is in flight.
- A loop that takes no notice is blocked by a call, to a file say. The error is then raised in the
  place where it hangs: InterruptedRunError, and for the second request KeyboardInterrupt or
  SystemExit, which no ``except Exception`` catches.
- In a process of the command line (`as_own_process`), the process ends within `_LAST_WORDS` seconds
  of the second request, whatever blocks; Ctrl-C after the run is a second request too.
- Runs of one loop share the handlers, which are put back after the last of them. A program that has
  a handler of its own still gets its signals; what it raises is raised after the run.

No run in this process (config is composed, MLflow is waited for): Python's own handlers. Ctrl-C is
KeyboardInterrupt, which ``hydra_app.app`` makes exit code 130. Once the command has an exit code
(`as_own_process`), Ctrl-C ends the process with that one, at once.

A sweep whose cells run one after another in this process (``hydra_app.hydra_task``): the run of the
cell handles the signal, no further cell begins, and the sweep ends with the exit code of that cell.

A sweep whose cells run in other processes or jobs (``hydra_app.launch``):

- The command (``fleet``): after the first request no further cell begins, and cells that run get
  SIGTERM. After the second they get another, and are killed some seconds later. The exit code is
  that of the first signal.
- The process of a cell (``signals``): a run handles signals as above. A signal before or after a
  run is noted, and no cell begins in that process any more. Ctrl-C of a terminal reaches the cells
  directly too: the SIGTERM that the command sends then is the same request.
- A job (``signals``): the cluster's word that the time is up is a first request; what is owed is
  left to the next start of the job.
"""

from __future__ import annotations

import _thread
import atexit
import os
import signal
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

from lm_eval_so.runner.run.exit_code import ExitCode

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator
    from types import FrameType

_PATIENCE = 2.0
"""Seconds that the event loop has to take notice; a cluster's manager kills some seconds later."""
ONE_REQUEST = 2.0
"""Seconds in which signals are one request; see the rules."""
_LAST_WORDS = 4.0
"""Seconds from the second signal to the end of the process: for the files, and for MLflow."""
_NUDGE = getattr(signal, "SIGURG", signal.SIGINT)
"""Gets the main thread out of a call. Nobody else sends SIGURG: of two signals with one number that
come together Python tells one, and a second request would be lost."""
_WORDS = {"SIGINT": "interrupted", "SIGTERM": "terminated", "SIGHUP": "hung up"}
_is_ours = False


class InterruptedRunError(Exception):
    """A signal ended the run.

    Attributes:
        exit_code: 130 for Ctrl-C, 143 for SIGTERM, 129 for SIGHUP.
        raised: What the handler of the program raised that the run is a part of.
    """

    def __init__(self, number: signal.Signals) -> None:
        super().__init__(_WORDS[number.name])
        self.exit_code = ExitCode.of_signal(number)
        self.raised: BaseException | None = None


def as_own_process(main: Callable[[], int]) -> NoReturn:
    """Ends this process, which is the command line's, with the exit code of ``main``.

    A second signal may end it, with all that is in it. Ctrl-C after ``main`` does so at once, and
    changes nothing of how it ended.
    """
    global _is_ours  # noqa: PLW0603 - of this process, as the signals are
    _is_ours = True
    # The last that is called: what Python does after it does not block, and knows no handlers.
    atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)
    try:
        exit_code = main()
    except KeyboardInterrupt:  # once more, while the first was told
        exit_code = ExitCode.INTERRUPTED
    signal.signal(signal.SIGINT, lambda *_: os._exit(exit_code))
    sys.exit(exit_code)


@contextmanager
def on_signal(
    request: Callable[[InterruptedRunError], None], *, patience: float = _PATIENCE
) -> Iterator[None]:
    """Calls ``request`` in the running event loop for each request to stop.

    In a thread other than the main one, where Python delivers no signals, it does nothing.

    Args:
        request: Takes note of a signal.
        patience: Seconds that the loop has to do so before the error is raised instead.

    Raises:
        InterruptedRunError: In the place where the loop is blocked.
        KeyboardInterrupt: There, for a second request by Ctrl-C.
        SystemExit: There, for a second request by another signal.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    import asyncio  # noqa: PLC0415 - not for --help

    listener = _Listener(asyncio.get_running_loop(), request, patience)
    _HANDLERS.add(listener)
    try:
        yield
    finally:
        _HANDLERS.remove(listener)


def stop_signals() -> list[signal.Signals]:
    """The signals that ask for an end; ``nohup`` has SIGHUP ignored, and so it stays."""
    hang_up: signal.Signals | None = getattr(signal, "SIGHUP", None)  # not on Windows
    if hang_up is None or signal.getsignal(hang_up) is signal.SIG_IGN:
        return [signal.SIGINT, signal.SIGTERM]
    return [signal.SIGINT, signal.SIGTERM, hang_up]


class StopRequests:
    """Tells a further request to stop from a signal that repeats the first."""

    def __init__(self) -> None:
        self._first: tuple[int, float] | None = None

    def is_new(self, number: int) -> bool:
        """Whether the signal, which has just come, is a request of its own."""
        now = time.monotonic()
        if self._first is None:
            self._first = number, now
            return True
        first, at = self._first
        return now - at >= ONE_REQUEST or number == first == signal.SIGINT


class _Listener:
    """A run, as far as signals concern it."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        request: Callable[[InterruptedRunError], None],
        patience: float,
    ) -> None:
        self.loop = loop
        self.patience = patience
        self.received = 0
        self._request = request

    def tell(self, error: InterruptedRunError, heard: threading.Event) -> None:
        """Asks the loop for its turn."""
        self.received += 1
        self.loop.call_soon_threadsafe(self._take, error, heard)

    def _take(self, error: InterruptedRunError, heard: threading.Event) -> None:
        heard.set()
        self._request(error)


class _Handlers:
    """Passes signals on to all that listen, and insists where they are not heard.

    They stand while anybody listens. One that somebody puts back after that, since they found it
    in place, puts back the program's own.
    """

    def __init__(self) -> None:
        self._listeners: list[_Listener] = []
        self._before: dict[signal.Signals, Any] = {}
        self._overdue: BaseException | None = None
        self._requests = StopRequests()

    def add(self, listener: _Listener) -> None:
        """Installs the handlers for the first."""
        self._listeners.append(listener)
        if len(self._listeners) == 1:
            self._requests = StopRequests()
            self._before = {
                number: signal.signal(number, self._handle) for number in {*stop_signals(), _NUDGE}
            }

    def remove(self, listener: _Listener) -> None:
        """Puts back what was there before the first, after the last."""
        others = [one for one in self._open() if one is not listener]
        if not others:
            if listener.received and _is_ours:
                self._before[signal.SIGINT] = _interrupt_for_good  # what follows may block too
            self._put_back()
        self._listeners = others

    def _open(self) -> list[_Listener]:
        """Those whose loop has not been closed under them."""
        return [one for one in self._listeners if not one.loop.is_closed()]

    def _put_back(self) -> None:
        for number, handler in self._before.items():
            if signal.getsignal(number) == self._handle:  # else it is somebody else's by now
                signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if number == _NUDGE and self._overdue is not None:
            overdue, self._overdue = self._overdue, None
            raise overdue
        if number not in stop_signals():
            return
        self._listeners = self._open()
        if not self._listeners:
            self._put_back()
            signal.raise_signal(number)
            return
        if not self._requests.is_new(number):
            self._hand_on(number, frame)
            return
        error, heard = InterruptedRunError(signal.Signals(number)), threading.Event()
        for listener in self._listeners:
            listener.tell(error, heard)
        is_second = any(listener.received > 1 for listener in self._listeners)
        if is_second and _is_ours:
            _end_soon(error.exit_code)
        overdue = _for_good(error) if is_second else error
        threading.Thread(target=self._insist, args=(overdue, heard), daemon=True).start()
        error.raised = self._hand_on(number, frame)

    def _hand_on(self, number: int, frame: FrameType | None) -> BaseException | None:
        """Calls the program's own handler; what it raises must wait for the end of the run."""
        handler = self._before.get(signal.Signals(number))
        if not callable(handler) or _is_pythons_own(handler):
            return None
        try:
            handler(number, frame)
        except BaseException as error:  # noqa: BLE001 - raised again by who ran the run
            return error
        return None

    def _insist(self, overdue: BaseException, heard: threading.Event) -> None:
        patience = min((listener.patience for listener in self._listeners), default=0.0)
        if heard.wait(patience) or not self._listeners:
            return
        self._overdue = overdue
        _nudge_main_thread()


_HANDLERS = _Handlers()


def _is_pythons_own(handler: Callable[..., Any]) -> bool:
    """Whether it only raises KeyboardInterrupt, or cancels the task that the run is part of."""
    import asyncio  # noqa: PLC0415 - not for --help

    runner = getattr(getattr(handler, "func", None), "__self__", None)
    ours = (signal.default_int_handler, _interrupt_for_good)
    return handler in ours or isinstance(runner, asyncio.Runner)


def _for_good(error: InterruptedRunError) -> BaseException:
    if error.exit_code == ExitCode.INTERRUPTED:
        return KeyboardInterrupt()
    return SystemExit(error.exit_code)


def _nudge_main_thread() -> None:
    """Makes the system call return that waits there, and the handler run."""
    ident = threading.main_thread().ident
    if ident is not None and hasattr(signal, "pthread_kill"):
        signal.pthread_kill(ident, _NUDGE)
    else:
        _thread.interrupt_main(_NUDGE)


def _interrupt_for_good(number: int, _: object) -> None:
    """SIGINT after the run, which has been asked to stop before."""
    _end_soon(ExitCode.of_signal(number))
    raise KeyboardInterrupt


def _end_soon(exit_code: int) -> None:
    end = threading.Timer(_LAST_WORDS, os._exit, [exit_code])
    end.daemon = True
    end.start()
