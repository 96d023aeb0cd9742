"""Which line of which file is the outcome of each question, in a few machine words a line."""

from array import array
from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from lm_eval_so.runner.hash_index import HashIndex
from lm_eval_so.runner.request.key import messages_key
from lm_eval_so.runner.store.line import Whole

_FILE_BITS = 16
_UNTAKEN, _TAKEN = 0, 1


class Place(NamedTuple):
    """Where a line is, and the mark that identifies it: `mark_of` its question."""

    file: int
    offset: int
    mark: int


class Answers:
    """The best line of each question: an answer before a failure, then the later one.

    The request key says what a question is, as for a run. Which of them a sample asks is told by
    its messages: a line whose messages are others is of an earlier version of the dataset. Of two
    request keys for the same messages (a prompt or a tool was edited) the later one counts.

    A line takes some 60 bytes.
    """

    def __init__(self) -> None:
        self._lines = HashIndex()  # by id and request key: the place, and whether it is an answer
        self._times = array("Q")  # of the same entries: when it was complete
        self._state = bytearray()  # of the same entries: whether a sample has taken it
        self._asked = HashIndex()  # by id, repeat and messages: the number of the entry

    def add(self, file: int, offset: int, line: Whole) -> None:
        """Notes a line.

        Args:
            file: Number of its file.
            offset: Where it begins there.
            line: Its content.
        """
        is_answer, at = line["status"] == "ok", _microseconds(line["completed_at"])
        place = (offset << _FILE_BITS | file) << 1 | is_answer
        question = line["sample_id"], line["request_key"]
        entry = self._lines.find(question)
        if entry is None:
            entry = self._lines.put(question, place)
            self._times.append(at)
            self._state.append(_UNTAKEN)
        elif (is_answer, at) >= (self._is_answer(entry), self._times[entry]):
            self._lines.change(entry, place)
            self._times[entry] = at
        asked = line["sample_id"], line.get("repeat", 0), _messages_of(line)
        other = self._asked.get(asked)
        if other is None or self._times[entry] >= self._times[other]:
            self._asked[asked] = entry

    def take(self, sample_id: str, repeat: int, messages: str) -> Place | None:
        """The outcome of a question of the dataset, if there is one.

        Args:
            sample_id: Of the sample.
            repeat: From 0.
            messages: `messages_key` of the sample's own messages.
        """
        entry = self._asked.get((sample_id, repeat, messages))
        if entry is None:
            return None
        self._state[entry] = _TAKEN
        return self._place(entry)

    def leftovers(self, kept: int | None = None) -> Iterator[Place]:
        """Answers that no sample has taken; of the file ``kept``, those that were taken too."""
        for entry, state in enumerate(self._state):
            place = self._place(entry)
            if self._is_answer(entry) and (state == _UNTAKEN or place.file == kept):
                yield place

    def _is_answer(self, entry: int) -> bool:
        return bool(self._lines.entry(entry)[1] & 1)

    def _place(self, entry: int) -> Place:
        mark, value = self._lines.entry(entry)
        place = value >> 1
        return Place(place & ((1 << _FILE_BITS) - 1), place >> _FILE_BITS, mark)


def _messages_of(line: Whole) -> str:
    """What identifies the messages of the sample, whatever a prompt made of them."""
    return line["request_context"].get("sample_key") or messages_key(line["request_messages"])  # type: ignore[arg-type]


def _microseconds(at: str) -> int:
    try:
        return max(0, round(datetime.fromisoformat(at).timestamp() * 1e6))
    except (ValueError, OverflowError):  # written by hand
        return 0
