"""The results file at the end of a run: one line for each sample, in order, and added up."""

import logging

from lm_eval_so.runner.errors import LostLinesError
from lm_eval_so.runner.store.directory import RunDirectory
from lm_eval_so.runner.summary.summarise import Totals

_LOG = logging.getLogger(__name__)
_MOST_LOSSES = 3
"""Times that lines may be gone from the file before its disk is not trusted any more."""


class FinalFile:
    """Puts the results file of a directory in order, however often it loses lines meanwhile.

    Args:
        directory: The directory, which has not been entered yet.

    Attributes:
        losses: Times that lines were gone from it.
        totals: Of its lines, once it is in order.
    """

    def __init__(self, directory: RunDirectory) -> None:
        self._directory = directory
        self._seen = Totals()
        directory.first_look = self._seen.add
        self.losses = 0
        self.totals: Totals | None = None

    def is_in_order(self) -> bool:
        """Whether it could be put in order; else what it has lost is owed again.

        Raises:
            LostLinesError: It loses lines again and again.
            StoreError: The new file cannot be written.
        """
        if self._directory.is_as_opened():
            self.totals = self._seen
            return True
        totals = Totals()
        try:
            self._directory.put_in_order(totals.add)
        except LostLinesError as lost:
            self.losses += 1
            if self.losses > _MOST_LOSSES:
                raise
            _LOG.warning("%s; what is missing is owed again", lost)
            self._directory.believe_the_file()
            return False
        self.totals = totals
        return True
