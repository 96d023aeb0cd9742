"""Tells a burst of refusals, which a server too full gives, from refusals by chance."""

from lm_eval_so.runner.strategy.rate_limit.sent_share import SPAN, SentShare

_BURST = 0.45
"""By how much the share lies above what is usual: of ten, 5% by chance reach it once in 20,000."""
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
        self._share = SentShare()

    def sent(self) -> int:
        """A request leaves; its number."""
        self.usual -= self.usual / _USUAL_SPAN
        return self._share.sent()

    def add(self, number: int, held: int) -> bool:
        """A request was refused; returns whether it completes a burst, which ends with that.

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
        """What was a burst just now is usual: it had nothing to do with what is in flight."""
        self.usual = max(self.usual, _BURST)
