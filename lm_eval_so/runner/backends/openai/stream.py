"""Puts the chunks of a stream together to a completion."""

from __future__ import annotations

from typing import Any

import orjson

from lm_eval_so.runner.backends.http.error_response import without_an_answer
from lm_eval_so.runner.backends.openai.choice import Choice
from lm_eval_so.runner.backends.openai.pieces import NoPieceError, index_of, replace
from lm_eval_so.runner.backends.wires.error_in_answer import error_within
from lm_eval_so.runner.errors import InvalidResponseError
from lm_eval_so.runner.text.sanitise import sanitise_json

_OK = 200
_LONGEST_EXCERPT = 200  # characters
_APART = {"choices", "error"}


class Assembly:
    """Collects the chunks of one stream; all their keys are kept.

    Args:
        choices: How many were asked for.
        think_tags: Whether reasoning stands in the text, between ``<think>`` tags.

    Attributes:
        first_said: Whether something has been said, reasoning included.
        first_answered: Whether something of an answer has been said.
        head: What the chunks tell beside their choices.
    """

    def __init__(self, choices: int = 1, *, think_tags: bool = False) -> None:
        self._asked = choices
        self._think_tags = think_tags
        self.head: dict[str, Any] = {}
        self._choices: dict[int, Choice] = {}
        self.first_said = self.first_answered = False

    def add(self, chunk: object) -> None:
        """Takes in a chunk.

        Raises:
            InvalidResponseError: It is no chunk.
            BackendError: It is an error, or holds one.
        """
        if chunk is None or chunk == []:  # it keeps the connection alive
            return
        if not isinstance(chunk, dict):
            raise without_an_answer(_no_chunk(chunk), chunk)  # Gemini: an error in a list
        try:
            self._add(chunk)
        except NoPieceError as error:
            raise _no_chunk(chunk, f" ({error})") from error
        except (AttributeError, TypeError, RecursionError) as error:  # of types that do not fit
            raise _no_chunk(chunk) from error

    def _add(self, chunk: dict[str, Any]) -> None:
        for part in (chunk, *(chunk.get("choices") or ())):
            if part is not None and (error := error_within(part)):
                raise error
        replace(self.head, {key: chunk[key] for key in chunk if key not in _APART})
        pieces = chunk.get("choices") or ()
        for position, piece in enumerate(pieces):
            if piece is not None:
                index = index_of(piece)
                if index is None and len(pieces) < self._asked:
                    raise NoPieceError("nothing tells which choice it belongs to")
                choice = self._choice(position if index is None else index)
                self.first_said = choice.add(piece) or self.first_said
                if self.first_said and not self.first_answered:
                    self.first_answered = choice.answers(think_tags=self._think_tags)

    def _choice(self, index: int) -> Choice:
        if index not in self._choices:
            self._choices[index] = Choice(index)
        return self._choices[index]

    def completion(self, *, ended: bool) -> dict[str, Any]:
        """The whole, in the shape of an answer that was not streamed.

        A stream that was cut is never an answer. It is whole if

        - it ended with ``[DONE]`` (``ended``), and either all of its choices have a finish reason
          or none has, as some servers never give one;
        - or it ended without, as some servers' do, and every choice that was asked for has its
          finish reason.

        What the wire tells of (a body shorter than announced, chunks without their end) and an
        event that is torn are found before this.

        Raises:
            InvalidResponseError: It was cut.
        """
        choices = [self._choices[index] for index in sorted(self._choices)]
        finished = sum(choice.finished for choice in choices)
        all_finished = choices and finished == len(choices)
        never_told = choices and ended and not finished
        if not (never_told or (all_finished and (ended or finished >= self._asked))):
            raise InvalidResponseError("the stream ended before the answer did", status_code=_OK)
        whole = [choice.whole() for choice in choices]
        return {**self.head, "object": "chat.completion", "choices": whole}


def _no_chunk(chunk: object, why: str = "") -> InvalidResponseError:
    excerpt = orjson.dumps(sanitise_json(chunk)).decode()[:_LONGEST_EXCERPT]
    return InvalidResponseError(
        f"the stream holds something that is no chunk{why}: {excerpt}", status_code=_OK
    )
