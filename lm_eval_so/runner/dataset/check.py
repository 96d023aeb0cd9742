"""The first pass: every line is a sample, every id is new; counted and hashed on the way."""

import logging
from pathlib import Path

from lm_eval_so.runner.dataset import hints
from lm_eval_so.runner.dataset.reader import (
    Checked,
    Digest,
    Line,
    lines_of,
    opened,
    parse_sample,
    read_lines,
)
from lm_eval_so.runner.dataset.source import stamp_of
from lm_eval_so.runner.errors import DatasetError
from lm_eval_so.runner.hash_index import HashIndex
from lm_eval_so.runner.text.once_per_kind import OncePerKind

_LOG = logging.getLogger(__name__)
_LOG.addFilter(OncePerKind())
_MOST_REPORTED = 10


def check(path: Path) -> Checked:
    """Reads the whole file once; memory grows by some 30 bytes a sample.

    Raises:
        DatasetError: Up to ten lines that are no samples, each as ``file:line: what is wrong``;
            or there is no sample at all.
    """
    digest = Digest()
    first_lines = HashIndex()
    faults: list[str] = []
    with opened(path) as file:
        stamp = stamp_of(file)  # before: what changes while it is read is found out later
        for line in lines_of(file):
            kind = None if len(first_lines) or faults else hints.of_file(line.text)
            if kind:
                raise DatasetError(f"{path}:{line.number}: {kind}")
            digest.add(line)
            fault = _fault(path, line, first_lines)
            if fault:
                faults.append(f"{path}:{line.number}: {fault}")
            if len(faults) == _MOST_REPORTED:
                faults.append(f"stopped looking after {_MOST_REPORTED} such lines")
                break
    if faults:
        raise DatasetError("\n".join(faults))
    if not len(first_lines):
        raise DatasetError(f"dataset {path} holds no samples")
    return Checked(count=len(first_lines), sha256=digest.hex(), stamp=stamp)


def _fault(path: Path, line: Line, first_lines: HashIndex) -> str | None:
    try:
        sample = parse_sample(line)
    except ValueError as error:
        return str(error)
    if sample.model_extra and (names := hints.kept_only(sample.model_extra)):
        _LOG.warning(
            "%s:%d: %s of a sample: kept, and not sent; parameters belong to the config, and a "
            "system text to the messages or to the prompt",
            path,
            line.number,
            ", ".join(names),
        )
    first = first_lines.setdefault(sample.id, line.number)
    if first != line.number and _id_at(path, first) == sample.id:
        return f"duplicate id {sample.id!r}, first on line {first}"
    return None


def _id_at(path: Path, number: int) -> str | None:
    """Looks at the line itself: two ids can share a hash."""
    return next((parse_sample(line).id for line in read_lines(path) if line.number == number), None)
