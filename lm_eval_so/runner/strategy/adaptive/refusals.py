"""Tells a burst of refusals, which an overloaded server gives, from refusals by chance."""

from lm_eval_so.runner.strategy.rate_limit.sent_share import SPAN, SentShare

_BURST = 0.45
"""How far the share must lie above the usual one; 5% by chance reach it once in 20,000 times."""
_USUAL_SPAN = 300  # requests over which the usual share is taken


class Refusals:
    """The share of refusals among the requests sent recently, and the usual share.

    Attributes:
        lowest: The fewest slots that were taken when a refused request of this burst began.
        usual: The share of refusals whatever is in flight.
    """

    def __init__(self) -> None:
        self.usual = 0.0
        self.lowest = 0
        self._share = SentShare()

    def sent(self) -> int:
        """Counts a request that leaves; returns its number."""
        self.usual -= self.usual / _USUAL_SPAN
        return self._share.sent()

    def add(self, number: int, held: int) -> bool:
        """Counts a refusal; returns whether it completes a burst.

        Args:
            number: Of the request, as `sent` gave it.
            held: Slots that were taken when it began, its own included.
        """
        self.usual += 1 / _USUAL_SPAN
        share, self.lowest = self._share.add(number, held)
        if share <= _BURST + self.usual:
            return False
        self._share.forget()
        self.usual = max(0.0, self.usual - share * SPAN / _USUAL_SPAN)  # a burst is not usual
        return True

    def expect(self) -> None:
        """Counts the last burst as usual: what is in flight did not cause it."""
        self.usual = max(self.usual, _BURST)
