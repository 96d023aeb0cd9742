"""What a tracker is still owed, in order: sent when it is there, told of when it is not."""

import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass

from lm_eval_so.runner.errors import LmEvalError, TrackingUnreachableError

_PAUSE = 5.0  # seconds between two tries while it is away
_TRIES = 3  # of one call, by a tracker that is there


@dataclass
class _Item:
    what: str
    send: Callable[[], object]
    tries: int = 0


class Outbox:
    """Calls to a tracker that may wait for it. Used by one thread at a time.

    Args:
        probe: Raises TrackingUnreachableError, soon, where the tracker is not there: MLflow's own
            calls try for minutes.
        clock: Seconds, monotonic.

    Attributes:
        reason: Why the last call failed; empty if it did not.
    """

    def __init__(
        self, probe: Callable[[], object], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._probe = probe
        self._clock = clock
        self._items: deque[_Item] = deque()
        self._refused: Counter[str] = Counter()
        self._again_at = 0.0
        self.reason = ""

    def __len__(self) -> int:
        return len(self._items)

    def put(self, what: str, send: Callable[[], object]) -> None:
        """Adds a call; ``what`` says in a few words what is missing without it."""
        self._items.append(_Item(what, send))

    def send(self, what: str, call: Callable[[], object]) -> None:
        """Makes a call now, or adds it to those that wait.

        Raises:
            TrackingError: It is refused. Of one that has waited, the refusal is only kept.
        """
        if self._items:
            self.put(what, call)
            self.flush()
            return
        try:
            self._probe()
            call()
        except TrackingUnreachableError as error:
            self.put(what, call)
            self._is_away(error)

    def flush(
        self,
        *,
        now: bool = False,
        until: float | None = None,
        sent: Callable[[], object] | None = None,
    ) -> None:
        """Sends what can be sent ``until`` then; ``now``, even if it was away a moment ago.

        ``sent`` is called after each.
        """
        if not self._items or (self._clock() < self._again_at and not now):
            return
        try:
            if not self._may_send():
                return
            while self._items and (until is None or self._clock() < until):
                self._send(self._items[0])
                self._items.popleft()
                if sent:
                    sent()
            self.reason = ""
        except TrackingUnreachableError as error:
            self._is_away(error)

    def _may_send(self) -> bool:
        """Whether it is there; raises if it may be later. What is no address refuses everything."""
        try:
            self._probe()
        except TrackingUnreachableError:
            raise
        except LmEvalError as refusal:
            self._refused.update(item.what for item in self._items)
            self._items.clear()
            self.reason = str(refusal)
            return False
        return True

    def missing(self) -> list[str]:
        """What has not been sent, or was refused: ``params``, ``live metrics (12)``."""
        counts = Counter(item.what for item in self._items) + self._refused
        return [what if n == 1 else f"{what} ({n})" for what, n in counts.items()]

    def _is_away(self, error: TrackingUnreachableError) -> None:
        self.reason = str(error)
        self._again_at = self._clock() + _PAUSE

    def _send(self, item: _Item) -> None:
        item.tries += 1
        try:
            item.send()
        except TrackingUnreachableError as error:
            if item.tries < _TRIES:
                raise
            self._refused[f"{item.what}, which fails again and again: {error}"] += 1
        except LmEvalError as refusal:
            self._refused[f"{item.what}, refused: {refusal}"] += 1
