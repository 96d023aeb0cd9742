"""A result line as the numbers that stand in columns."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from lm_eval_so.report.json_text import canonical
from lm_eval_so.report.result_line import Answer, ResultLine
from lm_eval_so.report.vocabulary import TagSets, Words
from lm_eval_so.runner.models.finish_reason import finish_reason
from lm_eval_so.runner.request.key import messages_key
from lm_eval_so.runner.summary.answers import kinds_of

if TYPE_CHECKING:
    from lm_eval_so.runner.models import Message

COLUMNS = {
    "offset": "Q",
    "id_end": "I",
    "question": "Q",
    "request": "Q",
    "answer": "Q",
    "start": "f",
    "took": "f",
    "latency": "f",
    "first": "f",
    "input": "f",
    "output": "f",
    "cost": "f",
    "length": "I",
    "tagset": "I",
    "repeat": "H",
    "error": "H",
    "status": "B",
    "flags": "B",
    "finish": "B",
    "attempts": "B",
}
"""Names and type codes of the arrays of a RunIndex, which explains them."""

STATUS = {"ok": 1, "error": 2, "timeout": 3}
"""Numbers of the column ``status``; 0 is owed, which no line is."""
TRUNCATED, REFUSED, EMPTY, TOOL_CALLS, REASONING, SEVERAL = (1 << bit for bit in range(6))
"""Bits of the column ``flags``."""

MOST_FINISH_REASONS = 1 << 8
_NAN = float("nan")
_MOST_REPEATS, _MOST_ATTEMPTS = 0xFFFF, 0xFF
_MOST = 1e30  # beyond it nothing is a count or a time
_ALL = (1 << 64) - 1


class Vocabulary:
    """What the numbers in columns stand for."""

    def __init__(self) -> None:
        self.errors = Words()
        self.finish_reasons = Words(most=MOST_FINISH_REASONS)
        self.tagsets = TagSets()


def values_of(
    line: ResultLine, vocabulary: Vocabulary, began: float, epoch: float
) -> tuple[float, ...]:
    """The values of all `COLUMNS` but ``offset`` and ``id_end``, in their order.

    Args:
        line: The line.
        vocabulary: Gives words their numbers.
        began: When the sample began, in seconds since 1970.
        epoch: From when ``start`` counts, likewise.
    """
    context, answer = line.request_context, _of_answer(line.response)
    own = context.sample_key
    if not (own and isinstance(own, str)):
        own = _messages_key(line.request_messages)
    return (
        question_of(line.sample_id, own),
        request_of(line.request_key),
        answer.digest,
        began - epoch,
        seconds(line.completed_at) - began,
        number(line.latency_ms),
        answer.first,
        answer.input,
        answer.output,
        number(line.cost_usd),
        answer.length,
        vocabulary.tagsets.number(context.sample_tags),
        min(max(line.repeat, 0), _MOST_REPEATS),
        0 if line.error is None else vocabulary.errors.number(line.error.error_type),
        STATUS[line.status],
        answer.flags,
        vocabulary.finish_reasons.number(answer.finish),
        min(max(line.attempts, 0), _MOST_ATTEMPTS),
    )


def _messages_key(messages: list[dict[str, Any]]) -> str:
    try:
        return messages_key(cast("list[Message]", messages))
    except TypeError:  # half of a character, a number of more than 64 bits, or too deep
        return hashlib.sha256(canonical(messages)).hexdigest()


def question_of(sample_id: str, messages: str) -> int:
    """64 bits that stand for a question.

    Args:
        sample_id: Of the sample.
        messages: Key of its own messages, in hex.
    """
    text = f"{messages}{sample_id}".encode(errors="surrogatepass")
    return _eight_bytes(hashlib.blake2b(text, digest_size=8).digest())


def request_of(request_key: str) -> int:
    """64 bits that stand for a request key."""
    try:
        return int(request_key[:16], 16) & _ALL
    except ValueError:
        return question_of(request_key, "")


class _Kept(NamedTuple):
    """What columns have of an answer."""

    digest: int = 0
    first: float = _NAN
    input: float = _NAN
    output: float = _NAN
    length: int = 0
    flags: int = 0
    finish: str = ""


_NO_ANSWER = _Kept()


def _of_answer(answer: Answer | None) -> _Kept:
    if answer is None:
        return _NO_ANSWER
    text, calls = answer["text"], answer.get("tool_calls")
    tokens = answer["tokens"] or {}
    return _Kept(
        answer_of(text, calls),
        number(answer.get("time_to_first_token_ms")),
        number(tokens.get("input")),
        number(tokens.get("output")),
        len(text),
        _flags(answer),
        finish_reason(answer.get("finish_reason")) or "",
    )


def answer_of(text: str, tool_calls: Sequence[Any] | None) -> int:
    """64 bits that are equal where text and tool calls are; never 0."""
    digest = hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=8)
    if tool_calls:
        digest.update(b"\xff")  # in no text
        digest.update(canonical(tool_calls))
    return _eight_bytes(digest.digest()) or 1


def _flags(answer: Answer) -> int:
    kinds = kinds_of(answer)
    return (
        TRUNCATED * kinds.truncated
        | REFUSED * kinds.refused
        | EMPTY * kinds.empty
        | TOOL_CALLS * bool(answer.get("tool_calls"))
        | REASONING * bool(answer.get("reasoning"))
        | SEVERAL * (len(answer.get("choices") or ()) > 1)
    )


def _eight_bytes(digest: bytes) -> int:
    return int.from_bytes(digest, "little")


def number(value: float | None) -> float:
    """The value as a column has it; NaN is unknown."""
    return _NAN if value is None or not -_MOST < value < _MOST else value


def seconds(time: str) -> float:
    """Seconds since 1970; NaN for what is no time."""
    try:
        return datetime.fromisoformat(time).timestamp()
    except (ValueError, OverflowError):
        return _NAN
