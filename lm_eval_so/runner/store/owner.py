"""Which dataset the results of a directory belong to: an edited one resumes, another does not."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from lm_eval_so.runner.errors import StoreError
from lm_eval_so.runner.hash_index import HashIndex
from lm_eval_so.runner.store.metadata import read_owner
from lm_eval_so.runner.store.results import RESULTS, scan_lines

_IDS = 1 / 2
_QUESTIONS = 1 / 10
"""Shares that an edited dataset has in common with its earlier version, of the smaller of the two.
Ids alone are not enough: two datasets may both number their samples from 0."""

Question = tuple[str, str]
"""Sample id and request key."""


class Asked(NamedTuple):
    """What decides whether results belong to a dataset.

    Attributes:
        location: The path of its file, with all links resolved.
        sha256: Its digest; reads the file if it is not known yet.
        questions: Its questions, read again at each call.
    """

    location: str
    sha256: Callable[[], str]
    questions: Callable[[], Iterator[Question]]


def is_same_file(directory: Path, asked: Asked) -> bool:
    """Whether the results are of this dataset: of the same file, or of the same content."""
    try:
        owner = read_owner(directory)
    except StoreError:  # reported when the directory is opened
        return True
    if owner is None or (owner.location is None and owner.sha256 is None):
        return True
    return owner.location == asked.location or owner.sha256 == asked.sha256()


def is_edited(directory: Path, asked: Asked) -> bool:
    """Whether the results are of an earlier or later version of this dataset."""
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
    """Whether the dataset may use a directory: its own, or one without results."""
    return (
        is_same_file(directory, asked)
        or next(scan_lines(directory / RESULTS), None) is None
        or is_edited(directory, asked)
    )


def find_own(directories: Iterable[Path], asked: Asked) -> Path | None:
    """The directory in which the dataset resumes: its own, else that of its earlier version."""
    candidates = list(directories)
    for is_own in (is_same_file, is_edited):
        for directory in candidates:
            if is_own(directory, asked):
                return directory
    return None
