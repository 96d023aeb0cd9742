"""Whether the results of a run may be counted on, and in words why not."""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from lm_eval_so.runner.config.schema import RunnerOptions
from lm_eval_so.runner.models import Value
from lm_eval_so.runner.summary.summarise import Summary
from lm_eval_so.runner.text.one_line import one_line

_WORTH_A_WARNING = 0.01  # share of samples
_LONGEST_NAME = 200  # characters


class Verdict(Value):
    """Whether the results of a run may be counted on.

    Attributes:
        outcome: ``complete``: every sample of the dataset has an outcome, and no gate is exceeded;
            ``partial``: samples are missing; ``invalid``: a gate is exceeded.
        reasons: Why it is not complete, a clause each.
        warnings: What else a reader of the numbers should know.
    """

    outcome: Literal["complete", "partial", "invalid"]
    reasons: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.outcome}: {'; '.join(self.reasons)}" if self.reasons else self.outcome


class Finding(NamedTuple):
    """Something wrong with the results: how much of it, and the gate that bounds it.

    Attributes:
        gate: Key of the config.
        bound: The most that is allowed; None for any amount.
    """

    amount: float
    words: str
    gate: str
    bound: float | None
    warned_above: float = _WORTH_A_WARNING

    @property
    def exceeds(self) -> bool:
        return self.bound is not None and self.amount > self.bound


def judge(summary: Summary, options: RunnerOptions, whole: int) -> Verdict:
    """The verdict on what a run leaves.

    Args:
        summary: Of its results.
        options: With ``gate`` and ``max_failures``.
        whole: Samples in the dataset, each counted once for each repeat.
    """
    found_wrong = list(findings(summary, options, whole))
    exceeded = [found for found in found_wrong if found.exceeds]
    reasons = [f"{found.words}, more than {found.gate}={found.bound:g}" for found in exceeded]
    missing = list(_missing(summary, whole, exceeded))
    owed = summary.status_counts.get("owed", 0)
    return Verdict(
        outcome="invalid" if exceeded and not owed else "partial" if missing else "complete",
        reasons=(*missing, *reasons),
        warnings=(
            *(f.words for f in found_wrong if not f.exceeds and f.amount > f.warned_above),
            *summary.missing,
        ),
    )


def _missing(summary: Summary, whole: int, exceeded: list[Finding]) -> Iterator[str]:
    owed = summary.status_counts.get("owed", 0)
    if owed:
        yield f"{owed:,} of {summary.total:,} samples have no outcome"
    told = any(found.gate.endswith("unselected") for found in exceeded)
    if summary.total < whole and not told:
        yield f"{summary.total:,} of {whole:,} samples of the dataset were selected"


def findings(summary: Summary, options: RunnerOptions, whole: int) -> Iterator[Finding]:
    """What may be wrong with the results, one for each gate; the arguments are those of `judge`."""
    gate, samples = options.gate, summary.settled
    yield _failed(summary, options)
    for name, count, words in (
        ("truncated", summary.truncated, "were cut off by a limit on their tokens"),
        ("refused", summary.refused, "were refused an answer"),
        ("empty", summary.empty, "have an empty answer"),
    ):
        yield Finding(
            count / max(samples, 1),
            f"{_of(count, samples)} {words}",
            f"runner.gate.{name}",
            getattr(gate, name),
        )
    changes = max(len(summary.models) - 1, 0)
    yield Finding(
        changes, _changed(summary), "runner.gate.model_changes", gate.model_changes, warned_above=0
    )
    yield _unselected(summary, options, whole)


def _failed(summary: Summary, options: RunnerOptions) -> Finding:
    """Bounded by a share where there is one, else by ``max_failures``; told by its own row."""
    failed, samples, share = summary.failed, summary.settled, options.gate.failed
    words = f"{_of(failed, samples)} failed"
    if share is not None:
        return Finding(failed / max(samples, 1), words, "runner.gate.failed", share, 1)
    bound = options.max_failures
    return Finding(failed, words, "runner.max_failures", bound, warned_above=failed)


def _unselected(summary: Summary, options: RunnerOptions, whole: int) -> Finding:
    left_out = whole - summary.total
    return Finding(
        left_out / max(whole, 1),
        f"{_of(left_out, whole)} of the dataset were not selected",
        "runner.gate.unselected",
        options.gate.unselected,
        warned_above=1,
    )


def _changed(summary: Summary) -> str:
    first, *later = summary.models or [""]
    if not later:
        return ""
    since = summary.models[later[0]]
    before, after = (one_line(name, _LONGEST_NAME) for name in (first, later[0]))
    more = f" and {len(later) - 1} more" if later[1:] else ""
    return (
        f"the model changed during the run: {before}, then {after}{more} "
        f"(first at sample {since.sample_id}, {since.first_at})"
    )


def _of(count: int, samples: int) -> str:
    return f"{count:,} of {samples:,} samples ({_percent(count / max(samples, 1))})"


def _percent(share: float) -> str:
    if 0 < share < 0.001:  # noqa: PLR2004 - the least that one digit shows
        return "below 0.1%"
    return f"{share:.1%}".replace(".0%", "%")
