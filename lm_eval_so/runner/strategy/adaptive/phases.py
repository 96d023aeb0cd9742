"""What the controller does after a round of answers: grow, hold, or try whether less will do."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from lm_eval_so.runner.strategy.adaptive.rounds import Round

_DOUBLED = 1.9  # times in flight, beyond which two levels of the ramp are compared
_HINT, _FLAT = 0.25, 0.15  # growth of the rate with what is in flight: doubtful, none
_WORTH_IT = 0.3  # growth that sends the ramp on
_LEVELS = 9.0  # the ramp compares with levels down to this fraction
_ROUNDS_AT_MOST = 3  # after which the ramp is over
_TRIAL = 100  # answers a trial takes, at the least; with 40 there were false "less will do"
_KEPT = 0.95  # share of the rate that less has to keep
_LESS, _MORE = 0.6, 1.5  # a trial's step
_SWOLLEN, _DROPPED = 1.6, 0.7  # latency against that of the first round at this size
_SMOOTHING = 0.3
_MOST_PATIENCE, _LONGEST_WAIT = 64, 16  # rounds


class Tuner(Protocol):
    """The controller, as a phase sees it.

    Attributes:
        size: Requests at once, fractions included.
        most: The bound of it.
        ceiling: Slots that a burst of refusals has shown, or None.
        known: Slots just below it, where few requests are refused.
        grow: Slots that the ramp adds for an answer.
        wait: Rounds to hold before more is tried.
        patience: Rounds of swollen latency before less is tried.
        shortest: The lowest latency of a round, in seconds.
    """

    size: float
    most: int
    ceiling: int | None
    grow: float
    wait: int
    patience: int
    shortest: float

    @property
    def known(self) -> float: ...


class Phase:
    """What the controller is doing."""

    name: str
    drains = False
    """Whether to measure only once the requests in flight have come down to the size."""

    def answers(self, limit: int) -> int:
        """Answers that make a round."""
        return max(_TRIAL, limit)

    def growth(self, tuner: Tuner) -> float:  # noqa: ARG002 - for those that grow
        """Slots to add for an answer that came while a request waited for a slot."""
        return 0.0

    def rate_to_beat(self) -> float:
        """Answers a second; a round that is much slower ends early. 0 for none."""
        return 0.0

    def next(self, tuner: Tuner, found: Round) -> Phase | None:
        """The phase after a round; None to stay in this one."""
        raise NotImplementedError


class Ramp(Phase):
    """Grows with each answer, until more in flight brings hardly more answers a second."""

    name = "growth"

    def __init__(self, levels: tuple[Round, ...] = ()) -> None:
        self._levels = levels
        self._at_most = 0

    def answers(self, limit: int) -> int:
        return min(max(limit, 8), 16)

    def growth(self, tuner: Tuner) -> float:
        return tuner.grow

    def next(self, tuner: Tuner, found: Round) -> Phase | None:
        if any(
            _compares(found, level) and found.growth_over(level) < _HINT for level in self._levels
        ):
            return Check(self._levels)
        near = (level for level in self._levels if level.held >= found.held / _LEVELS)
        self._levels = (*near, found)
        self._at_most += int(tuner.size) >= tuner.most
        return Hold() if self._at_most >= _ROUNDS_AT_MOST else None


class Check(Phase):
    """Measures a level of the ramp that brought little again, without growing."""

    name = "does it pay?"

    def __init__(self, levels: tuple[Round, ...]) -> None:
        self._levels = levels

    def next(self, tuner: Tuner, found: Round) -> Phase:
        flat = [
            level.held
            for level in self._levels
            if _compares(found, level) and found.growth_over(level) < _FLAT
        ]
        if not flat:
            return Ramp((found,))
        return Less.leap(tuner, found, min(tuner.size / 4, 1.5 * min(flat)))


class Hold(Phase):
    """Stays, and tries now and then whether more would be better; if answers slow down, less."""

    name = "hold"

    def __init__(self) -> None:
        self._base: Round | None = None
        self._rounds = self._swollen = 0
        self._seconds = self._slowest = 0.0

    def answers(self, limit: int) -> int:
        return max(40, limit)

    def next(self, tuner: Tuner, found: Round) -> Phase | None:
        self._rounds += 1
        times = self._times(found)
        self._swollen = self._swollen + 1 if min(times) > _SWOLLEN else 0
        if self._swollen >= tuner.patience:
            return Less.leap(tuner, found, tuner.size / 4)
        if (self._rounds > tuner.wait or max(times) < _DROPPED) and tuner.size < tuner.most:
            return More(tuner, self._base or found) if tuner.ceiling is None else Probe()
        return None

    def _times(self, found: Round) -> tuple[float, float]:
        """Latency, and latency per token, divided by those of the first rounds at this size.

        The quick answers come back first, so the usual latency is not known until the slow ones
        have had their time too.
        """
        self._seconds += found.seconds
        self._slowest = max(self._slowest, found.slowest)
        if self._base is None or self._seconds < 2 * self._slowest:
            self._base = found
        base = self._base
        times = (found.latency / base.latency, found.per_token / base.per_token)
        if min(times) <= _SWOLLEN:
            self._base = base.blend(found, _SMOOTHING)
        return times


class Climb(Phase):
    """Goes back up to the slots that are known, from below them."""

    name = "climb"

    def growth(self, tuner: Tuner) -> float:
        return tuner.grow if tuner.size < tuner.known else 0.0

    def next(self, tuner: Tuner, found: Round) -> Phase | None:  # noqa: ARG002 - growth decides
        return Hold() if tuner.size >= tuner.known else None

    def answers(self, limit: int) -> int:
        return min(max(limit, 8), 16)


class Probe(Phase):
    """Goes slowly beyond the slots that are known."""

    name = "probe"

    def growth(self, tuner: Tuner) -> float:
        return max(1.0, (tuner.ceiling or 0) / 10) / tuner.size

    def next(self, tuner: Tuner, found: Round) -> Phase | None:  # noqa: ARG002 - growth decides
        if tuner.ceiling is None or tuner.size > max(tuner.ceiling + 2, 1.15 * tuner.ceiling):
            tuner.ceiling, tuner.wait = None, 1
            return Ramp()
        return None


class More(Phase):
    """Tries half as many again."""

    name = "more?"

    def __init__(self, tuner: Tuner, base: Round) -> None:
        self._base = base
        self.back = tuner.size
        tuner.size = min(float(tuner.most), float(ceil(tuner.size * _MORE)))

    def next(self, tuner: Tuner, found: Round) -> Phase:
        base = self._base
        if found.held > 1.1 * base.held and found.growth_over(base) >= _WORTH_IT:
            tuner.wait = 1
            return Ramp((base,))
        tuner.wait = min(max(2 * tuner.wait, 4), _LONGEST_WAIT)
        tuner.size = self.back
        return Hold()


class Less(Phase):
    """Tries whether less gives the same; the answer rate decides."""

    name = "less?"
    drains = True

    def __init__(self, tuner: Tuner, anchor: Round, size: float, *, leaps: bool) -> None:
        self._anchor = anchor
        self._leaps = leaps
        self._back = tuner.size
        tuner.size = max(1.0, size)

    @classmethod
    def leap(cls, tuner: Tuner, anchor: Round, floor: float) -> Less:
        """A first step, as far as Little's law allows: rate x lowest latency."""
        least = max(1.5 * anchor.answers * tuner.shortest, floor)
        return cls(tuner, anchor, min(_LESS * tuner.size, least), leaps=True)

    def rate_to_beat(self) -> float:
        return self._anchor.answers

    def next(self, tuner: Tuner, found: Round) -> Phase:
        if found.keeps_up_with(self._anchor, _KEPT):
            tuner.patience = 2
            return Less(tuner, self._anchor, _LESS * tuner.size, leaps=False)
        leapt = self._leaps and found.held < self._back / 2
        tuner.size = self._back
        tuner.patience = min(_MOST_PATIENCE, 2 * tuner.patience)
        tuner.wait = 4
        return Less(tuner, self._anchor, _LESS * tuner.size, leaps=False) if leapt else Hold()


def _compares(found: Round, level: Round) -> bool:
    return found.held >= _DOUBLED * level.held
