"""Whose results a directory holds: of which configuration, and of which dataset.

Another configuration is refused. An edited dataset resumes, another one does not.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from lm_eval_so.runner.errors import ForeignRunError, StoreError
from lm_eval_so.runner.hash_index import HashIndex
from lm_eval_so.runner.masking.options import shown
from lm_eval_so.runner.masking.redactor import Redactor
from lm_eval_so.runner.store.metadata import METADATA, read_owner
from lm_eval_so.runner.store.parts.truth import is_in_parts
from lm_eval_so.runner.store.read import scan_results
from lm_eval_so.runner.store.results import RESULTS
from lm_eval_so.runner.store.run_metadata import damaged
from lm_eval_so.runner.store.segments import results_path
from lm_eval_so.runner.text.one_line import one_line

_LONGEST_VALUE = 200  # characters
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
    for line in scan_results(directory):
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
        or next(scan_results(directory), None) is None
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


def check_owner(
    directory: Path, identity: Mapping[str, Any], redactor: Redactor | None = None
) -> None:
    """Makes sure that the directory is new, or belongs to the same identity.

    Compared is what may be written; earlier versions wrote more.

    Raises:
        ForeignRunError: It holds something else; the message names the keys that differ.
        NewerVersionError: A newer release wrote it.
    """
    owner = read_owner(directory)
    if owner is None:
        if _holds_results(directory):
            raise ForeignRunError(
                f"{directory} holds a {results_path(directory).name} but no {METADATA}, so whose "
                "it is cannot be told; choose another output_dir"
            )
        return
    public = (redactor or Redactor()).data
    try:
        differing = differences(public(shown(owner.identity)), public(shown(identity)))
    except RecursionError as error:
        raise damaged(directory / METADATA, "its identity is nested too deep") from error
    if differing:
        raise ForeignRunError(
            f"{directory} belongs to another configuration: {'; '.join(differing)}; choose another "
            "output_dir, or leave it out"
        )


def _holds_results(directory: Path) -> bool:
    """Whether there is a line; an empty file is what a command left that went no further."""
    path = directory / RESULTS
    return (path.exists() and path.stat().st_size > 0) or is_in_parts(directory)


def differences(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> list[str]:
    """The keys that differ, a clause each: ``model is 'a' there and 'b' here``."""
    found: list[str] = []
    for key in sorted({*old, *new}):
        before, now = old.get(key), new.get(key)
        if isinstance(before, dict) and isinstance(now, dict):
            found += differences(before, now, f"{prefix}{key}.")
        elif before != now:
            there, here = (one_line(repr(value), _LONGEST_VALUE) for value in (before, now))
            found.append(f"{prefix}{key} is {there} there and {here} here")
    return found
