"""Whether all samples of all workers are refused alike, so that the setting is the cause."""

from collections.abc import Iterable
from enum import Enum
from typing import NamedTuple

from lm_eval_so.runner.strategy.breaker.alike import ENOUGH, MOST_HELD, count_by_kind, of_few
from lm_eval_so.runner.strategy.breaker.refusals import Kind


class Cause(Enum):
    """What refusals come from."""

    UNKNOWN = "it is not known yet: the worker holds them back"
    SAMPLE = "the samples' own: they are results"
    SETTING = "the setting: the run ends"


class Refusal(NamedTuple):
    """A sample that was refused, for good as far as its worker knows.

    Attributes:
        sample_id: Of the sample.
        kind: Refusals of one kind have one cause.
        words: What the server said and what would help, in a sentence without secrets.
    """

    sample_id: str
    kind: Kind
    words: str


class Refusals:
    """The rule of `Evidence` over many workers.

    Several different samples, the first to be settled, are all refused alike, and none was answered
    anywhere. Where there are several workers, more than one has to say so: a key or a certificate
    can be missing on one machine. Nothing is held back after the first answer.
    """

    def __init__(self) -> None:
        self._held: dict[tuple[str, str], Refusal] = {}  # by worker and sample
        self._stuck: set[str] = set()
        self.cause = Cause.UNKNOWN
        self.words = ""

    def answered(self) -> None:
        """A sample was answered, anywhere."""
        if self.cause is Cause.UNKNOWN:
            self._end(Cause.SAMPLE)

    def report(
        self, worker: str, refusals: Iterable[Refusal], *, stuck: bool, workers: int
    ) -> Cause:
        """Takes the refusals that a worker holds back.

        Args:
            worker: Who holds them.
            refusals: Those held; some of them may have been reported before.
            stuck: All that the worker has under way are held, and it can begin nothing else.
            workers: That are alive and have work.
        """
        if self.cause is not Cause.UNKNOWN:
            return self.cause
        for one in refusals:
            self._held[worker, one.sample_id] = one
        (self._stuck.add if stuck else self._stuck.discard)(worker)
        if self._held:
            self._decide(workers)
        return self.cause

    def gone(self, worker: str) -> None:
        """What a worker held is owed again, and no evidence any more."""
        self._stuck.discard(worker)
        self._held = {key: one for key, one in self._held.items() if key[0] != worker}

    def _decide(self, workers: int) -> None:
        counts = count_by_kind((one.kind, one.sample_id) for one in self._held.values())
        commonest = max(counts, key=counts.__getitem__)
        all_stuck = len(self._stuck) >= workers
        if counts[commonest] >= ENOUGH:
            if all_stuck or workers == 1 or self._said_by_several(commonest):
                self._end(Cause.SETTING, commonest)
        elif len(self._held) >= MOST_HELD:
            self._end(Cause.SAMPLE)
        elif all_stuck:
            kind = of_few(counts)
            self._end(Cause.SAMPLE if kind is None else Cause.SETTING, kind)

    def _said_by_several(self, kind: Kind) -> bool:
        return len({worker for (worker, _), one in self._held.items() if one.kind == kind}) > 1

    def _end(self, cause: Cause, kind: Kind | None = None) -> None:
        self.cause = cause
        self.words = next((one.words for one in self._held.values() if one.kind == kind), "")
        self._held.clear()
        self._stuck.clear()
