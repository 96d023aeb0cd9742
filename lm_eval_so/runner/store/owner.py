"""Whose results a directory holds: an edited dataset goes on in it, another one does not."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from lm_eval_so.runner.errors import StoreError
from lm_eval_so.runner.hash_index import HashIndex
from lm_eval_so.runner.store.metadata import read_owner
from lm_eval_so.runner.store.results import RESULTS, scan_lines

_IDS = 1 / 2
_QUESTIONS = 1 / 10
"""Shares of the smaller of two sides that an edited dataset has in common with its former self.
Ids alone do not tell: two datasets may both count their samples from 0."""

Question = tuple[str, str]
"""Sample id and request key."""


class Asked(NamedTuple):
    """A dataset, as far as it tells whether results belong to it.

    Attributes:
        location: Its file, with all links resolved.
        sha256: Its digest; reads the file where that is not known yet.
        questions: What it asks, each time anew.
    """

    location: str
    sha256: Callable[[], str]
    questions: Callable[[], Iterator[Question]]


def is_same_file(directory: Path, asked: Asked) -> bool:
    """Whether the results are of this very dataset: of its file, or of its content elsewhere."""
    try:
        owner = read_owner(directory)
    except StoreError:  # told when the directory is opened
        return True
    if owner is None or (owner.location is None and owner.sha256 is None):
        return True
    return owner.location == asked.location or owner.sha256 == asked.sha256()


def is_edited(directory: Path, asked: Asked) -> bool:
    """Whether the results are of a dataset that this one was made of, or that was made of it."""
    ids, questions = HashIndex(), HashIndex()
    for line in scan_lines(directory / RESULTS):
        ids[line.sample_id] = 1
        questions[line.sample_id, line.request_key] = 1
    count = common_ids = common_questions = 0
    for question in asked.questions():
        count += 1
        common_ids += ids.get(question[0]) is not None
        common_questions += questions.get(question) is not None
    smaller = min(len(ids), count)
    return smaller > 0 and (
        common_ids >= smaller * _IDS and common_questions >= smaller * _QUESTIONS
    )


def may_go_on(directory: Path, asked: Asked) -> bool:
    """Whether the dataset may write into a directory: its own, or one without any result."""
    return (
        is_same_file(directory, asked)
        or next(scan_lines(directory / RESULTS), None) is None
        or is_edited(directory, asked)
    )


def find_own(directories: Iterable[Path], asked: Asked) -> Path | None:
    """The directory in which the dataset goes on: its own, else that of its former self."""
    candidates = list(directories)
    for is_own in (is_same_file, is_edited):
        for directory in candidates:
            if is_own(directory, asked):
                return directory
    return None
