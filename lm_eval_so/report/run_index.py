"""The results file of a run as columns: where each line is, and what tables show of it."""

from array import array
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from lm_eval_so.report.json_text import json_bytes, loads
from lm_eval_so.report.result_columns import COLUMNS, Vocabulary, seconds, values_of
from lm_eval_so.report.result_line import ResultLine, read_result_line
from lm_eval_so.report.vocabulary import Fields
from lm_eval_so.runner.errors import StoreError
from lm_eval_so.runner.store.files import reading
from lm_eval_so.runner.store.results import RESULTS
from lm_eval_so.runner.store.segments import (
    are_there,
    open_results,
    read_from,
    reopen,
    size_of,
    stamp_of,
)

if TYPE_CHECKING:
    from lm_eval_so.runner.store.parts.truth import ResultsStamp, Segment

_BUFFER = 1 << 20
_TAIL = 4096  # bytes before the end of what was read, by which the file is known again


class Change(NamedTuple):
    """What became of a results file since it was read last.

    Attributes:
        added: Lines that are new; all of them if the file was replaced.
        replaced: Whether it is another file now: what was known of it has been forgotten.
    """

    added: int
    replaced: bool

    def __bool__(self) -> bool:
        return bool(self.added) or self.replaced


class RunIndex:
    """Columns over the whole lines of a run, in the order of its results file or of its parts.

    `columns` has an array of the module `array` for each of these, with one entry a line; together
    they take some 110 bytes a line:

    * ``offset``: byte of the file at which the line begins
    * ``id_end``: where the sample's id ends in `ids`
    * ``question``: 64 bits of a digest of the sample's id and its own messages, whatever the prompt
    * ``request``: the first 64 bits of the request key
    * ``answer``: 64 bits of a digest of text and tool calls; 0 without an answer
    * ``start``, ``end``: seconds since `epoch`
    * ``latency``, ``first``: milliseconds; ``input``, ``output``: tokens; ``cost``: US dollars; NaN
      is unknown
    * ``length``: code points of the text
    * ``tagset``, ``error``, ``finish``: numbers of `vocabulary`
    * ``repeat``, ``status``, ``flags``, ``attempts``

    It is empty until `extend` has read the file. `kept_index` writes it to a file and reads it.

    Args:
        run_dir: The run directory; its results file need not be there yet.

    Attributes:
        epoch: Seconds since 1970 from which ``start`` counts: when the first line's sample began.
        ids: The ids of the samples as JSON, each with a comma behind it.
        fields: Metadata of the samples that has few values, one code a line.
        damaged: Lines that were passed over: they are not whole.
        position: Bytes of the file that were read.
        stamp: State of the file when it was read last; None before.
        tail: The last bytes before `position`.
        segments: Of a run in parts: where the lines are that were read. When the parts change, all
            of them are read anew.
        size: Bytes of the file when it was read last.
    """

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir
        self._clear()

    def _clear(self) -> None:
        self.path = self.run_dir / RESULTS
        self.columns: dict[str, array[Any]] = {name: array(code) for name, code in COLUMNS.items()}
        self.ids = bytearray()
        self.vocabulary = Vocabulary()
        self.fields = Fields()
        self.epoch: float | None = None
        self.damaged = self.position = 0
        self.stamp: ResultsStamp | None = None
        self.tail = b""
        self.segments: list[Segment] = []
        self.size = 0

    def __len__(self) -> int:
        return len(self.columns["offset"])

    def extend(self) -> Change:
        """Reads what the file has got since the last call.

        A last line without its newline counts if it is whole; else it is left for the next call.

        Raises:
            NewerVersionError: A newer release wrote a line.
            StoreError: The file cannot be read.
        """
        with reading(self.path):
            try:
                file = open_results(self.run_dir, _BUFFER)
            except FileNotFoundError:
                replaced = self.stamp is not None
                self._clear()
                return Change(0, replaced)
            with file:
                return self._extend(file)

    def sample_id(self, line: int) -> str:
        """The id of the sample of a line, which counts from 0."""
        ends = self.columns["id_end"]
        begin = ends[line - 1] if line else 0
        found: str = loads(bytes(self.ids[begin : ends[line] - 1]))
        return found

    def opened(self, buffering: int) -> BinaryIO:
        """The file that was read, for what stands at an ``offset``.

        Raises:
            OSError: It is not there any more, or cannot be read.
        """
        if self.segments:
            return reopen(self.segments, buffering)
        return self.path.open("rb", buffering=buffering)

    def has_only_grown(self, file: BinaryIO) -> bool:
        """Whether what was read is still in the file, or nothing was read."""
        if self.stamp is None:
            return True
        stamp = stamp_of(file)
        if stamp.inode != self.stamp.inode or stamp.size < self.position:
            return False
        file.seek(self.position - len(self.tail))
        return file.read(len(self.tail)) == self.tail

    def is_as_read(self) -> bool:
        """Whether the file is the one that was read, and has at most grown since."""
        try:
            with open_results(self.run_dir) as file:
                self.segments, self.size = read_from(file), size_of(file)
                return self.is_of(file)
        except (OSError, StoreError):
            return False

    def is_of(self, file: BinaryIO) -> bool:
        """Whether a file is just as it was read, or has grown.

        The inode alone does not tell: of two files that replace each other in turn, the second may
        get the inode that the first has left.
        """
        stamp = stamp_of(file)
        return stamp == self.stamp or (stamp.size > self.position and self.has_only_grown(file))

    def _extend(self, file: BinaryIO) -> Change:
        replaced = not self.has_only_grown(file)
        if replaced:
            self._clear()
        before, self.stamp = len(self), stamp_of(file)
        self.path, self.segments = Path(file.name), read_from(file)
        self.size = size_of(file)
        file.seek(self.position)
        for line in file:
            if not self._take(line):
                break
        self.fields.level(len(self))
        file.seek(max(self.position - _TAIL, 0))
        self.tail = file.read(min(self.position, _TAIL))
        return Change(len(self) - before, replaced)

    def _take(self, line: bytes) -> bool:
        """Adds a line; False for the beginning of one that is still being written."""
        if not line.isspace():
            found = read_result_line(line, self.path)
            if found is not None:
                self._add(found)
            elif line.endswith(b"\n"):
                self.damaged += 1
            else:
                return False
        self.position += len(line)
        return True

    def _add(self, line: ResultLine) -> None:
        began = seconds(line.started_at)
        if self.epoch is None and began == began:  # noqa: PLR0124 - not NaN
            self.epoch = began
        values = values_of(line, self.vocabulary, began, self.epoch or 0.0)
        self.ids += json_bytes(line.sample_id)
        self.ids += b","
        metadata = line.request_context.sample_metadata
        if metadata and isinstance(metadata, dict):
            self.fields.add(metadata, len(self))
        all_values = (self.position, len(self.ids), *values)
        for column, value in zip(self.columns.values(), all_values, strict=True):
            column.append(value)


def is_replaced(index: RunIndex, inode: int | None = None) -> bool:
    """Whether the results file is not there any more.

    Args:
        index: Of a run.
        inode: Of the file that is meant; None means what was read last.
    """
    if index.stamp is None:
        return inode is not None
    if inode not in (None, index.stamp.inode):
        return True
    if index.segments:
        return not are_there(index.segments)
    try:
        with index.path.open("rb") as file:
            return not index.is_of(file)
    except OSError:
        return True
