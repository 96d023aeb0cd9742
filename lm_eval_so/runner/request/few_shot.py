"""Examples that are put before a question."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from lm_eval_so.runner.request.conversation import without_system
from lm_eval_so.runner.request.key import messages_key

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lm_eval_so.runner.models import Message, TestSample
    from lm_eval_so.runner.request.template import Template

_SPARE = 2
"""Examples that may be the sample itself: one with its id, and one with its question."""


class Example(NamedTuple):
    """One example.

    Attributes:
        id: Of its sample.
        question: Key of its question.
        turns: Question and answer.
    """

    id: str
    question: str
    turns: list[Message]


class Examples:
    """The examples of a run.

    Args:
        pool: In their order, with different questions: as many as are asked for, and two more, if
            the dataset has them.
        count: Examples for each question.
    """

    def __init__(self, pool: list[Example], count: int) -> None:
        self._pool = pool
        self._count = count

    @property
    def available(self) -> int:
        """Examples there are, up to as many as are ever needed."""
        return len(self._pool)

    def before(self, sample: TestSample) -> list[Message]:
        """The turns that stand before the sample's own; the sample is never its own example.

        Raises:
            ValueError: Too few are left.
        """
        question = _question_key(sample)
        others = [each for each in self._pool if sample.id != each.id and question != each.question]
        if len(others) < self._count:
            raise ValueError(
                f"prompt.few_shot.count is {self._count}, and beside this sample there are only "
                f"{len(others)} examples with different questions"
            )
        return [turn for each in others[: self._count] for turn in each.turns]


def example_of(sample: TestSample, template: Template | None = None) -> Example:
    """A sample as an example; a template makes its question, as it makes those that are asked.

    Raises:
        ValueError: It has no answer, or the template does not fit.
    """
    turns, answer = _question(sample), _answer(sample)
    if template is not None:
        turns = template.applied(sample, turns)
    return Example(sample.id, _question_key(sample), [*turns, answer])


def choose(examples: Iterable[Example], count: int, seed: int | None = None) -> Examples:
    """Chooses examples; keeps no more of them in memory than it needs.

    Args:
        examples: All there are.
        count: Examples for each question.
        seed: Draws them, whatever their order; None takes the first ones.
    """
    pool: dict[str, tuple[int | bytes, Example]] = {}  # by question
    worst: int | bytes | None = None
    for position, example in enumerate(examples):
        rank = position if seed is None else _drawn(seed, example.id)
        known = pool.get(example.question)
        if known is not None and known[0] <= rank:  # type: ignore[operator] # of one kind
            continue
        if known is None and len(pool) == count + _SPARE:
            if worst is not None and rank > worst:  # type: ignore[operator] # as above
                continue
            del pool[max(pool, key=lambda question: pool[question][0])]
        pool[example.question] = rank, example
        worst = max(rank for rank, _ in pool.values()) if len(pool) == count + _SPARE else None
    ranked = sorted(pool.values(), key=lambda each: each[0])
    return Examples([example for _, example in ranked], count)


def _drawn(seed: int, sample_id: str) -> bytes:
    return hashlib.sha256(f"{seed}:{sample_id}".encode()).digest()


def _question(sample: TestSample) -> list[Message]:
    """The turns before the answer, without system messages."""
    _, turns = without_system(sample.messages)
    return turns[:-1] if turns and turns[-1]["role"] == "assistant" else turns


def _question_key(sample: TestSample) -> str:
    return messages_key(_question(sample))


def _answer(sample: TestSample) -> Message:
    if sample.expected not in (None, "", [], {}):
        return {"role": "assistant", "content": _as_text(sample.expected)}
    last = sample.messages[-1]
    if last["role"] == "assistant" and (last.get("content") or last.get("tool_calls")):
        return last
    raise ValueError("an example needs an answer: `expected`, or a last turn of the assistant")


def _as_text(expected: Any) -> str:  # noqa: ANN401 - any JSON value
    return expected if isinstance(expected, str) else orjson.dumps(expected).decode()
