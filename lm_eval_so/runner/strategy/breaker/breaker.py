"""Ends a run that cannot go on, once and with one sentence; what is owed stays owed."""

from collections.abc import Awaitable, Callable

from lm_eval_so.runner.errors import BackendError, BackendUnusableError
from lm_eval_so.runner.masking.visible import visible
from lm_eval_so.runner.models import RunRequest
from lm_eval_so.runner.strategy.base import Gate
from lm_eval_so.runner.strategy.retry import StoppedError


class Breaker:
    """How `OutageGuard` and `Evidence` end the run.

    Args:
        give_up: Ends the run.
        remedy: What to do about an error, in a few words.

    Attributes:
        open: Nothing is sent any more.
        gate: Closed while ``open``, for requests that were waiting; raises StoppedError.
    """

    def __init__(
        self,
        *,
        give_up: Callable[[BackendUnusableError], None],
        remedy: Callable[[BackendError], Awaitable[str]],
    ) -> None:
        self._give_up = give_up
        self._remedy = remedy
        self._tripped = False
        self.open = False
        self.gate = Gate(self._check)

    async def trip(self, error: BackendError, sentence: str) -> None:
        """Ends the run with the sentence and the remedy for the error; only the first call does."""
        self.open = True
        if self._tripped:
            return
        self._tripped = True
        unusable = BackendUnusableError(await self.words(error, sentence))
        unusable.__cause__ = error
        self._give_up(unusable)

    async def words(self, error: BackendError, sentence: str) -> str:
        """The sentence and the remedy for the error."""
        parts = [sentence.rstrip("."), await self._remedy(error)]
        return visible(": ".join(part for part in parts if part))

    def _check(self, _: RunRequest) -> None:
        if self.open:
            raise StoppedError
