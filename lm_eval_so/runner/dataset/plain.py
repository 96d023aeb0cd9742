"""The samples that most lines hold, read at an eighth of the cost of any other.

A plain sample has turns of text and nothing that is sent beside them. Where `read_plain` gives one,
`TestSample` would have been read from the same text, without an error or a warning.
"""

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, UnsetType

from lm_eval_so.runner.models import Message, Role, TestSample

_Scalar = str | int | float | bool | None


class _Turn(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    role: Role
    content: str


class _Plain(msgspec.Struct, forbid_unknown_fields=True):
    """Nothing in it can be nested deeper than pydantic reads, or be NaN or infinite."""

    id: Annotated[str, msgspec.Meta(min_length=1)] | int
    messages: Annotated[list[_Turn], msgspec.Meta(min_length=1)]
    expected: _Scalar | UnsetType = UNSET
    tags: list[str] | UnsetType | None = UNSET
    metadata: dict[str, _Scalar | list[_Scalar]] | UnsetType | None = UNSET


_decode = msgspec.json.Decoder(_Plain).decode


class PlainSample:
    """What a sample is told from others by, and what is sent; the rest is read when it is needed.

    Attributes:
        id, messages, parameters: Those of the `TestSample`.
    """

    __slots__ = ("_read", "id", "messages")
    parameters: dict[str, Any] = {}  # noqa: RUF012 - of none

    def __init__(self, read: _Plain) -> None:
        self._read = read
        self.id = read.id if read.id.__class__ is str else str(read.id)
        self.messages: list[Message] = [
            {"role": turn.role, "content": turn.content} for turn in read.messages
        ]

    def whole(self) -> TestSample:
        """The sample."""
        return TestSample.model_validate(msgspec.to_builtins(self._read))


def plain_id(text: bytes) -> str | None:
    """The id of a plain sample; None if the text does not hold one, as it may be."""
    try:
        found = _decode(text).id
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    return found if isinstance(found, str) else str(found)


def read_plain(text: bytes) -> PlainSample | None:
    """The plain sample that a text holds; None if it holds another one, or none."""
    try:
        return PlainSample(_decode(text))
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def whole(sample: PlainSample | TestSample) -> TestSample:
    """All of a sample."""
    return sample.whole() if isinstance(sample, PlainSample) else sample
