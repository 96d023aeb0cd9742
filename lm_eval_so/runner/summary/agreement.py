"""Whether a question that is asked again is answered alike."""

from collections.abc import Mapping
from typing import Any, Self, TypedDict

from lm_eval_so.runner.models import Value
from lm_eval_so.runner.summary.counts import Number


class RepeatAgreement(Value):
    """Of the samples that have two answers or more.

    Attributes:
        samples: So many.
        all_equal: Share of them whose answers are all equal: the text and the tool calls, without
            white space around and without the calls' ids.
        mean_distinct: Different answers to a sample, on average.
    """

    samples: int
    all_equal: float
    mean_distinct: float


class AgreementState(TypedDict):
    """An Agreement as JSON data."""

    samples: Number
    all_equal: Number
    distinct: Number


class Agreement:
    """Adds up results in dataset order, in which the repeats of a sample follow each other."""

    def __init__(self) -> None:
        self._sample: str | None = None
        self._answers: list[Mapping[str, Any]] = []  # to the sample
        self._samples = self._all_equal = self._distinct = 0

    def add(self, result: Mapping[str, Any]) -> None:
        """Takes in a RunResult line."""
        if result["sample_id"] != self._sample:
            self._close()
            self._sample = result["sample_id"]
        if result["response"] is not None:
            self._answers.append(result["response"])

    def merge(self, other: "Agreement") -> None:
        """Counts all that the other has counted; no sample is in both."""
        self._close()
        other._close()
        self._samples += other._samples
        self._all_equal += other._all_equal
        self._distinct += other._distinct

    def state(self) -> AgreementState:
        """The same as JSON data; no further repeat of its last sample is to come."""
        self._close()
        return {
            "samples": self._samples,
            "all_equal": self._all_equal,
            "distinct": self._distinct,
        }

    @classmethod
    def of_state(cls, state: AgreementState) -> Self:
        """What `state` has given."""
        agreement = cls()
        agreement._samples = state["samples"]
        agreement._all_equal = state["all_equal"]
        agreement._distinct = state["distinct"]
        return agreement

    def summary(self) -> RepeatAgreement | None:
        """What they add up to; None where no sample has two answers."""
        self._close()
        if not self._samples:
            return None
        return RepeatAgreement(
            samples=self._samples,
            all_equal=round(self._all_equal / self._samples, 6),
            mean_distinct=round(self._distinct / self._samples, 6),
        )

    def _close(self) -> None:
        if len(self._answers) > 1:
            distinct = len(set(map(_said, self._answers)))
            self._samples += 1
            self._all_equal += distinct == 1
            self._distinct += distinct
        self._sample, self._answers = None, []


def _said(response: Mapping[str, Any]) -> str:
    calls = response.get("tool_calls")
    text: str = response["text"].strip()
    return f"{text}\0{[call.get('function', call) for call in calls]}" if calls else text
