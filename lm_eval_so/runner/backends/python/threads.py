"""Threads for functions that block.

The threads of `asyncio.to_thread` are too few (six on two cores), and a process does not end before
they do: one question that hangs would keep a finished run from ending. These are daemons.
"""

from __future__ import annotations

import asyncio
import threading
from contextvars import Context, copy_context
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, NamedTuple

from lm_eval_so.runner.text.exception_text import exception_text

if TYPE_CHECKING:
    from collections.abc import Callable


class _Call(NamedTuple):
    function: Callable[[Any], Any]
    argument: Any
    context: Context
    result: asyncio.Future[Any]


class Threads:
    """As many as there are calls at once; a free one is used again.

    A call that is given up goes on in its thread, which nobody can end. It takes no place from
    others, and the thread is free again once the call returns.
    """

    def __init__(self) -> None:
        self._free: list[SimpleQueue[_Call | None]] = []
        self._closed = False
        self._started = 0

    async def call(self, function: Callable[[Any], Any], argument: object) -> Any:  # noqa: ANN401 - the function's own
        """What the function returns, or raises; other than an Exception, as a RuntimeError."""
        result: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        calls = self._free.pop() if self._free else self._start()
        calls.put(_Call(function, argument, copy_context(), result))
        return await result

    def close(self) -> None:
        """Ends the threads that are free, and each other one when its call returns."""
        self._closed = True
        for calls in self._free:
            calls.put(None)
        self._free.clear()

    def _start(self) -> SimpleQueue[_Call | None]:
        calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._started += 1
        loop, name = asyncio.get_running_loop(), f"backend-python-{self._started}"
        threading.Thread(target=self._work, args=(calls, loop), name=name, daemon=True).start()
        return calls

    def _work(self, calls: SimpleQueue[_Call | None], loop: asyncio.AbstractEventLoop) -> None:
        while (call := calls.get()) is not None:
            value, error = _outcome(call)
            try:
                loop.call_soon_threadsafe(self._done, calls, call.result, value, error)
            except RuntimeError:  # the loop is closed: the run did not wait
                return
            del call, value, error

    def _done(
        self,
        calls: SimpleQueue[_Call | None],
        result: asyncio.Future[Any],
        value: object,
        error: Exception | None,
    ) -> None:
        if self._closed:
            calls.put(None)
        else:
            self._free.append(calls)
        if result.done():  # given up
            return
        if error is None:
            result.set_result(value)
        else:
            result.set_exception(error)


def _outcome(call: _Call) -> tuple[Any, Exception | None]:
    try:
        return call.context.run(call.function, call.argument), None
    except StopIteration as error:  # no future takes it
        return None, no_exception(error)
    except Exception as error:  # noqa: BLE001 - raised again where the answer is awaited
        return None, error
    except BaseException as error:  # noqa: BLE001 - `sys.exit` in a bot ends its sample, and no run
        return None, no_exception(error)


def no_exception(error: BaseException) -> RuntimeError:
    """The exception that stands for SystemExit and others, which would end more than a sample."""
    found = RuntimeError(f"it raised {exception_text(error)}".removesuffix(": "))
    return found.with_traceback(error.__traceback__)
