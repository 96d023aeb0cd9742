"""Ends a run that cannot go on, once and with one sentence; what is owed stays owed."""

from collections.abc import Awaitable, Callable

from lm_eval_so.runner.backends.base import Send
from lm_eval_so.runner.errors import BackendError, BackendUnusableError
from lm_eval_so.runner.masking.visible import visible
from lm_eval_so.runner.models import ChatResponse, RunRequest
from lm_eval_so.runner.strategy.retry import StoppedError


class Breaker:
    """What `outage_guard` and `evidence` have in common: the way to end the run.

    Args:
        give_up: Ends the run.
        remedy: What to do about an error, in a few words.

    Attributes:
        open: Nothing is sent any more.
    """

    def __init__(
        self,
        *,
        give_up: Callable[[BackendUnusableError], None],
        remedy: Callable[[BackendError], Awaitable[str]],
    ) -> None:
        self._give_up = give_up
        self._remedy = remedy
        self._told = False
        self.open = False

    def gate(self, send: Send) -> Send:
        """``send``, closed once the run is given up: for those that waited for their slot."""

        async def gated(request: RunRequest) -> ChatResponse:
            if self.open:
                raise StoppedError
            return await send(request)

        return gated

    async def trip(self, error: BackendError, sentence: str) -> None:
        """Ends the run with the sentence and the remedy for the error; only the first call does."""
        self.open = True
        if self._told:
            return
        self._told = True
        parts = [sentence.rstrip("."), await self._remedy(error)]
        told = ": ".join(part for part in parts if part)
        found = BackendUnusableError(visible(told))
        found.__cause__ = error
        self._give_up(found)
