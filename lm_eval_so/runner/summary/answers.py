"""What was answered: finish reasons, and answers that are cut off, refused or empty."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Self, TypedDict

from lm_eval_so.runner.models.finish_reason import finish_reason
from lm_eval_so.runner.summary.counts import Counted, Number

Answer = Mapping[str, Any]
"""``response`` of a RunResult line, or one of its ``choices``."""


class Kinds(NamedTuple):
    """What is to be said of an answer; several may hold."""

    truncated: bool
    refused: bool
    empty: bool


_WHOLE = Kinds(truncated=False, refused=False, empty=False)


def kinds_of(response: Answer) -> Kinds:
    """What is to be said of a response; of several choices, what holds for any of them."""
    choices = response.get("choices")
    if not choices:
        return _kinds(response)
    return Kinds(*map(any, zip(*map(_kinds, choices), strict=True)))


def _kinds(answer: Answer) -> Kinds:
    reason = finish_reason(answer.get("finish_reason"))
    text = answer["text"]
    if reason == "stop" and text and not text.isspace() and not answer.get("refusal"):
        return _WHOLE  # nearly all of them
    says_nothing = not text.strip() and not answer.get("tool_calls")
    return Kinds(
        truncated=reason == "length",
        refused=reason == "content_filter" or bool(answer.get("refusal")),
        # Lines of schema version 1 have their tool calls in ``raw`` alone.
        empty=says_nothing and reason != "tool_calls",
    )


class AnswersState(TypedDict):
    """Answers as JSON data."""

    finish_reasons: Counted
    truncated: Number
    refused: Number
    empty: Number


class Answers:
    """Adds up responses.

    Attributes:
        finish_reasons: Of all choices; ``none`` where the server told none.
        truncated, refused, empty: Samples with such an answer, one of several choices included.
    """

    def __init__(self) -> None:
        self.finish_reasons: Counter[str] = Counter()
        self.truncated = self.refused = self.empty = 0

    def add(self, response: Answer) -> Kinds:
        """Counts a response, and says what it is."""
        answers: Iterable[Answer] = response.get("choices") or (response,)
        for answer in answers:
            self.finish_reasons[finish_reason(answer.get("finish_reason")) or "none"] += 1
        kinds = kinds_of(response)
        if kinds is not _WHOLE:
            self.truncated += kinds.truncated
            self.refused += kinds.refused
            self.empty += kinds.empty
        return kinds

    def merge(self, other: "Answers") -> None:
        """Counts all that the other has counted."""
        self.finish_reasons.update(other.finish_reasons)
        self.truncated += other.truncated
        self.refused += other.refused
        self.empty += other.empty

    def state(self) -> AnswersState:
        """The same as JSON data."""
        return {
            "finish_reasons": dict(self.finish_reasons),
            "truncated": self.truncated,
            "refused": self.refused,
            "empty": self.empty,
        }

    @classmethod
    def of_state(cls, state: AnswersState) -> Self:
        """What `state` has given."""
        answers = cls()
        answers.finish_reasons = Counter(state["finish_reasons"])
        answers.truncated = state["truncated"]
        answers.refused = state["refused"]
        answers.empty = state["empty"]
        return answers
