"""The first pass: every line is a sample, every id is new; counted and hashed on the way."""

import hashlib
import logging
from pathlib import Path

from lm_eval_so.runner.compact import CompactMap
from lm_eval_so.runner.dataset import hints
from lm_eval_so.runner.dataset.reader import Line, parse_sample, read_lines
from lm_eval_so.runner.errors import DatasetError
from lm_eval_so.runner.log import OncePerKind
from lm_eval_so.runner.models import Value

_LOG = logging.getLogger(__name__)
_LOG.addFilter(OncePerKind())
_MOST_REPORTED = 10


class Checked(Value):
    """What the first pass found.

    Attributes:
        count: Samples.
        sha256: Over the lines that are not blank, each with one newline, so that neither blank
            lines nor compression change it.
    """

    count: int
    sha256: str


def check(path: Path) -> Checked:
    """Reads the whole file once; memory grows by some 30 bytes a sample.

    Raises:
        DatasetError: Up to ten lines that are no samples, each as ``file:line: what is wrong``;
            or there is no sample at all.
    """
    digest = hashlib.sha256()
    first_lines = CompactMap()
    faults: list[str] = []
    for line in read_lines(path):
        kind = None if len(first_lines) or faults else hints.of_file(line.text)
        if kind:
            raise DatasetError(f"{path}:{line.number}: {kind}")
        digest.update(line.text)
        digest.update(b"\n")
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
    return Checked(count=len(first_lines), sha256=digest.hexdigest())


def _fault(path: Path, line: Line, first_lines: CompactMap) -> str | None:
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
    first = first_lines.get(sample.id)
    if first is not None and _id_at(path, first) == sample.id:
        return f"duplicate id {sample.id!r}, first on line {first}"
    first_lines[sample.id] = line.number
    return None


def _id_at(path: Path, number: int) -> str | None:
    """Looks at the line itself: two ids can share a hash."""
    return next((parse_sample(line).id for line in read_lines(path) if line.number == number), None)
