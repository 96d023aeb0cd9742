"""How the samples that are missing differ from the others: the tests, and the words."""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from lm_eval_so.runner.summary.significance import fisher_exact, holm, rank_sum
from lm_eval_so.runner.summary.strata import TENTHS, Counts, Strata
from lm_eval_so.runner.text.one_line import one_line

_LARGEST_P = 0.03  # corrected: by chance, at most three runs in a hundred have a sentence
_SMALLEST_RATIO = 1.5
_FEWEST_SAMPLES = 50
_FEWEST_MISSING = 10
_FEWEST_IN_A_GROUP = 5
_LONGEST_TAG = 60  # characters
_RUNS = [
    range(first, first + tenths)
    for tenths in range(1, TENTHS // 2 + 1)
    for first in range(TENTHS - tenths + 1)
]
"""Neighbouring tenths of the dataset, up to half of it."""


class Kind(NamedTuple):
    """A way to be missing.

    Attributes:
        events: What it is called.
        samples: What those that are missing are called.
        missing: The outcome that makes a sample missing.
        present: The outcomes of those that it is compared with.
    """

    events: str
    samples: str
    missing: int
    present: tuple[int, ...]


class Group(NamedTuple):
    """Samples of a group: those that are there, and those that are missing."""

    present: int
    missing: int

    @property
    def size(self) -> int:
        return self.present + self.missing

    @property
    def share(self) -> float:
        """Of those that are missing."""
        return self.missing / self.size


class Finding(NamedTuple):
    """A difference.

    Attributes:
        p: Probability of such a difference by chance, not corrected for the number of findings.
        ratio: How many times as much of something one of the sides has; at least 1.
    """

    p: float
    ratio: float
    sentence: str


def sentences(kinds: Sequence[Kind], strata: Strata) -> list[str]:
    """For each kind, the strongest difference by tag, length or place; nothing if it may be chance.

    The p-values are corrected for the number of all findings, of all kinds.
    """
    findings = [(kind, found) for kind in kinds for found in Difference(kind, strata).findings()]
    corrected = holm([finding.p for _, finding in findings])
    told = [
        (kind, finding)
        for (kind, finding), p in zip(findings, corrected, strict=True)
        if p < _LARGEST_P and finding.ratio >= _SMALLEST_RATIO
    ]
    strongest = (
        min((finding for its, finding in told if its is kind), key=_strength, default=None)
        for kind in kinds
    )
    return [finding.sentence for finding in strongest if finding is not None]


class Difference:
    """What sets the missing samples of a kind apart from the others."""

    def __init__(self, kind: Kind, strata: Strata) -> None:
        self._kind = kind
        self._lengths = [(length, self._group(counts)) for length, counts in strata.lengths.bins()]
        self._tenths = [self._group(counts) for counts in strata.places.tenths()]
        self._all = _together(self._tenths)
        self._tags = self._tags_of(strata)

    def findings(self) -> Iterator[Finding]:
        """By each tag, by length and by place; none if there are too few samples for a test."""
        if self._all.size >= _FEWEST_SAMPLES and min(self._all) >= _FEWEST_MISSING:
            yield from self._by_tag()
            yield self._by_length()
            yield self._by_place()

    def _by_tag(self) -> Iterator[Finding]:
        for tag, tagged in self._tags:
            others = self._outside(tagged)
            shown = f"tag {one_line(tag, _LONGEST_TAG)}"
            if tagged.share >= others.share:
                yield self._more(tagged, others, f"among {shown}")
            else:
                yield self._more(others, tagged, f"outside {shown}")

    def _more(self, more: Group, fewer: Group, where: str) -> Finding:
        """They are more frequent in one group than in the other."""
        sentence = (
            f"{self._kind.events} {_how_much(more, fewer)} {where}: "
            f"{more.missing:,} of {more.size:,}, others {fewer.missing:,} of {fewer.size:,}"
        )
        return Finding(_p(more, fewer), _largest_ratio(more, fewer), sentence)

    def _by_length(self) -> Finding:
        theirs = _median([(length, group.missing) for length, group in self._lengths])
        others = _median([(length, group.present) for length, group in self._lengths])
        sentence = (
            f"{self._kind.samples} have {'longer' if theirs > others else 'shorter'} prompts: "
            f"median {_rounded(theirs)} characters, others {_rounded(others)}"
        )
        p = rank_sum([group for _, group in self._lengths])
        return Finding(p, max(theirs, others, 1) / max(min(theirs, others), 1), sentence)

    def _by_place(self) -> Finding:
        """The neighbouring tenths where they are most clearly more frequent.

        The p-value is corrected for all that were tried (Bonferroni). A rank test would miss what
        happens in the middle, such as an outage.
        """
        best = Finding(1.0, 1.0, "")
        for run in _RUNS:
            inside = _together(self._tenths[run.start : run.stop])
            if not self._is_enough(inside) or inside.share <= self._all.share:
                continue
            outside = self._outside(inside)
            if (p := _p(inside, outside)) < best.p:
                sentence = (
                    f"{self._kind.events} cluster: {inside.missing:,} of {self._all.missing:,} "
                    f"are in {_name(run)} of the dataset"
                )
                best = Finding(p, _largest_ratio(inside, outside), sentence)
        return best._replace(p=min(1.0, best.p * len(_RUNS)))

    def _tags_of(self, strata: Strata) -> list[tuple[str, Group]]:
        """The tags that are neither too rare nor too common for a test.

        Those with more of the missing come first: of two tags that are each other's opposite, the
        one that has the failures is told.
        """
        tags = [(tag, self._group(counts)) for tag, counts in strata.tags.counts.items()]
        tags = [(tag, group) for tag, group in tags if self._is_enough(group)]
        return sorted(tags, key=lambda it: (it[1].share < self._all.share, it[0]))

    def _is_enough(self, group: Group) -> bool:
        return min(group.size, self._outside(group).size) >= _FEWEST_IN_A_GROUP

    def _group(self, counts: Counts) -> Group:
        present = sum(counts[outcome] for outcome in self._kind.present)
        return Group(present, counts[self._kind.missing])

    def _outside(self, group: Group) -> Group:
        return Group(self._all.present - group.present, self._all.missing - group.missing)


def _strength(finding: Finding) -> tuple[float, float]:
    """The smallest is the strongest."""
    return finding.p, -finding.ratio


def _together(groups: Iterable[Group]) -> Group:
    present, missing = 0, 0
    for group in groups:
        present += group.present
        missing += group.missing
    return Group(present, missing)


def _p(group: Group, others: Group) -> float:
    return fisher_exact(
        group.missing, group.size, group.missing + others.missing, group.size + others.size
    )


def _largest_ratio(more: Group, fewer: Group) -> float:
    """Of the shares of those that are missing, or of those that are left."""
    return max(_ratio(more.share, fewer.share), _ratio(1 - fewer.share, 1 - more.share))


def _ratio(larger: float, smaller: float) -> float:
    return larger / smaller if smaller else math.inf


def _how_much(more: Group, fewer: Group) -> str:
    ratio = _ratio(more.share, fewer.share)
    if ratio == math.inf:
        return "occur only"
    if ratio < _SMALLEST_RATIO:  # most are missing: it is those that are left that differ
        return "are more common"
    return f"are {float(f'{ratio:.2g}'):,g} times as common"


def _median(counts: list[tuple[int, int]]) -> int:
    """The smallest value with at least half of all values at or below it."""
    half = sum(count for _, count in counts) / 2
    seen = 0
    for value, count in counts:
        seen += count
        if seen >= half:
            return value
    return 0


def _rounded(length: int) -> str:
    """To two digits: ``87``, ``4,100``."""
    return f"{float(f'{length:.2g}'):,.0f}"


def _name(run: range) -> str:
    """``the last tenth``, ``the first 3 tenths``, ``the last half``, ``tenths 4 to 6``."""
    size = {1: "tenth", TENTHS // 2: "half"}.get(len(run), f"{len(run)} tenths")
    if run.start == 0:
        return f"the first {size}"
    if run.stop == TENTHS:
        return f"the last {size}"
    first = run.start + 1
    return f"tenth {first}" if len(run) == 1 else f"tenths {first} to {run.stop}"
