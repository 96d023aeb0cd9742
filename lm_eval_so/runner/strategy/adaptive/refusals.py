"""Tells a burst of refusals, which a server too full gives, from refusals by chance."""

from lm_eval_so.runner.strategy.sent_share import SentShare

_SPAN = 10  # requests; twice as many doubled the refusals of an overshoot
_BURST = 0.35
"""By how much the share lies above what is usual. 5% by chance do not reach it within ten."""
_FRESH = 0.12  # a share below which the next refusal begins a burst of its own
_USUAL_SPAN = 300  # requests sent that the usual share looks back on


class Refusals:
    """The share of refusals among the requests sent of late, and what is usual.

    Attributes:
        lowest: The fewest slots that were taken when a refused request of this burst began.
        usual: The share of refusals that comes whatever is in flight.
    """

    def __init__(self) -> None:
        self.usual = 0.0
        self.lowest = 0
        self._share = SentShare(_SPAN)

    def sent(self) -> None:
        """A request leaves."""
        self._share.sent()
        self.usual += (self._share.value - self.usual) / _USUAL_SPAN

    def add(self, held: int) -> bool:
        """A refusal came; returns whether it completes a burst, which ends with that.

        Args:
            held: Slots that were taken when the request began, its own included.
        """
        self.lowest = held if self._share.value < _FRESH else min(self.lowest, held)
        self._share.add()
        if self._share.value <= _BURST + self.usual:
            return False
        self._share.value = 0.0
        return True

    def expect(self) -> None:
        """What was a burst just now is usual: it had nothing to do with what is in flight."""
        self.usual = max(self.usual, _BURST)
