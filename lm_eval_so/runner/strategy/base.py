"""The one shape of all strategies: each takes a ``send`` and returns one."""

from abc import abstractmethod
from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol

from lm_eval_so.runner.backends.base import Send
from lm_eval_so.runner.models import ChatResponse, RunRequest


class Strategy(Protocol):
    """A part of how a call is made."""

    @abstractmethod
    def wrap(self, send: Send) -> Send:
        """``send`` with this strategy around it."""


def fold(send: Send, strategies: Iterable[Strategy]) -> Send:
    """``send`` with the strategies around it.

    Args:
        send: Makes the call.
        strategies: Innermost first.
    """
    for strategy in strategies:
        send = strategy.wrap(send)
    return send


class Gate:
    """Lets a request pass, or raises.

    It adds no coroutine: every request passes several gates and waits at none.

    Args:
        check: Raises where the request must not pass.
    """

    def __init__(self, check: Callable[[RunRequest], None]) -> None:
        self._check = check

    def wrap(self, send: Send) -> Send:
        """``send`` behind the gate."""

        def gated(request: RunRequest) -> Awaitable[ChatResponse]:
            self._check(request)
            return send(request)

        return gated
