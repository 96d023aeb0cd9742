"""The lines of a run, whatever they are in: ``run_results.jsonl``, or parts."""

import io
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, cast

from lm_eval_so.runner.store.parts import PARTS
from lm_eval_so.runner.store.parts.file import MOST_OPEN, PartsFile
from lm_eval_so.runner.store.parts.truth import (
    ResultsStamp,
    Segment,
    is_in_parts,
    listing,
    segments_of,
)
from lm_eval_so.runner.store.results import RESULTS

_BUFFER = 1 << 18


def segments(run_dir: Path) -> list[Segment]:
    """Where the lines of a run are, in dataset order; nothing where there are none yet.

    Raises:
        OSError: A file cannot be read.
        NewerVersionError: A newer release wrote one.
        StoreError: What tells of the parts is damaged.
    """
    found = listing(run_dir)
    if found is not None:
        return segments_of(run_dir, found)
    try:
        state = (run_dir / RESULTS).stat()
    except FileNotFoundError:
        return []
    return [Segment(run_dir / RESULTS, 0, state.st_size, state.st_ino)]


def open_results(run_dir: Path, buffering: int = _BUFFER) -> BinaryIO:
    """The lines of a run as one file; of an ordinary directory it is ``run_results.jsonl``.

    Of parts it is what was there at this moment: lines that come later are in another one. It costs
    a read of each marker, some 50 microseconds a shard.

    Raises:
        FileNotFoundError: The run has no lines yet.
        OSError, NewerVersionError, StoreError: As `segments`.
    """
    found = listing(run_dir)
    if found is None:
        return (run_dir / RESULTS).open("rb", buffering=buffering)
    raw = PartsFile(run_dir / PARTS, segments_of(run_dir, found), found.stamp)
    return cast("BinaryIO", io.BufferedReader(raw, buffering))


def reopen(
    segments: Sequence[Segment], buffering: int = _BUFFER, most_open: int = MOST_OPEN
) -> BinaryIO:
    """The lines that a file from `open_results` had, at the same places.

    Args:
        segments: What `read_from` has given for it.
        buffering: Bytes.
        most_open: So many of their files are open at once.
    """
    name = segments[0].path.parent
    raw = PartsFile(name, segments, ResultsStamp(0, 0, 0), most_open)
    return cast("BinaryIO", io.BufferedReader(raw, buffering))


def read_from(file: BinaryIO) -> list[Segment]:
    """Where a file from `open_results` has its lines; nothing of an ordinary one."""
    raw = getattr(file, "raw", None)
    return raw.segments if isinstance(raw, PartsFile) else []


def are_there(segments: Sequence[Segment]) -> bool:
    """Whether the lines of these segments are still where they were."""
    with suppress(OSError):
        return all(_is_there(one) for one in segments)
    return False


def results_stamp(run_dir: Path) -> ResultsStamp | None:
    """What changes when the lines of a run do; None where there are none yet.

    Of parts it takes a look at each of their files, some 2 microseconds a file.
    """
    with suppress(OSError):
        found = listing(run_dir)
        return found.stamp if found is not None else _of_state((run_dir / RESULTS).stat())
    return None


def stamp_of(file: BinaryIO) -> ResultsStamp:
    """The stamp of the lines that a file from `open_results` has."""
    raw = getattr(file, "raw", None)
    return raw.stamp if isinstance(raw, PartsFile) else _of_state(os.fstat(file.fileno()))


def size_of(file: BinaryIO) -> int:
    """Bytes of a file from `open_results`."""
    raw = getattr(file, "raw", None)
    return raw.size if isinstance(raw, PartsFile) else os.fstat(file.fileno()).st_size


def results_path(run_dir: Path) -> Path:
    """What holds the lines of a run, for people: ``run_results.jsonl``, or the folder ``parts``."""
    with suppress(OSError):
        return run_dir / (PARTS if is_in_parts(run_dir) else RESULTS)
    return run_dir / RESULTS


def _is_there(segment: Segment) -> bool:
    found = segment.path.stat()
    return found.st_size >= segment.end and segment.inode in {0, found.st_ino}


def _of_state(found: os.stat_result) -> ResultsStamp:
    return ResultsStamp(found.st_ino, found.st_mtime_ns, found.st_size)
