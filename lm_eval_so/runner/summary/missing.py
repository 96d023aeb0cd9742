"""Whether samples are missing at random: if not, every score of those that are left is biased.

In the words of Rubin (1976, Biometrika 63, 581-592): whether there are signs that they are not
missing completely at random.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Self

from lm_eval_so.runner.summary.difference import Kind, sentences
from lm_eval_so.runner.summary.strata import (
    ANSWERED,
    FAILED,
    MOST_TAGS,
    TRUNCATED,
    Strata,
    StrataState,
)

_FAILURES = Kind("failures", "failed samples", FAILED, (ANSWERED, TRUNCATED))
_TRUNCATIONS = Kind("truncated answers", "samples with a truncated answer", TRUNCATED, (ANSWERED,))


class Missing:
    """Failed samples, and truncated ones among those with an answer, of RunResult lines.

    Of a sample that is asked several times, the first repeat counts: the others share its fate, so
    they are no evidence of their own.

    Args:
        most: Tags that are counted: the first that come.

    Attributes:
        strata: All that were counted.
    """

    def __init__(self, most: float = MOST_TAGS) -> None:
        self.strata = Strata(most)

    def add(self, index: int, result: Mapping[str, Any], *, truncated: bool = False) -> None:
        """Counts a line that was read as JSON.

        Args:
            index: The place of its sample in the dataset, or of the line in a file of that order.
            result: The line.
            truncated: Whether a limit on its tokens cut an answer of it off.
        """
        if result.get("repeat"):
            return
        outcome = TRUNCATED if truncated else ANSWERED
        if result["response"] is None:
            outcome = FAILED
        tags = result["request_context"]["sample_tags"]
        self.strata.add(index, tags, text_length(result["request_messages"]), outcome)

    def merge(self, other: "Missing") -> None:
        """Counts all that the other has counted, of other samples of the same dataset."""
        self.strata.merge(other.strata)

    def state(self) -> StrataState:
        """The same as JSON data."""
        return self.strata.state()

    @classmethod
    def of_state(cls, state: StrataState, most: float = MOST_TAGS) -> Self:
        """What `state` has given."""
        missing = cls()
        missing.strata = Strata.of_state(state, most)
        return missing

    def sentences(self) -> list[str]:
        """How failed, and how truncated samples differ from the others; empty if they may not."""
        return sentences((_FAILURES, _TRUNCATIONS), self.strata)


def text_length(messages: Iterable[Mapping[str, Any]]) -> int:
    """Characters of text in a conversation; images and calls of tools do not count."""
    length = 0
    for message in messages:
        content = message.get("content")
        if isinstance(content, str):
            length += len(content)
        elif content:
            texts = (part.get("text") for part in content)
            length += sum(len(text) for text in texts if isinstance(text, str))
    return length
