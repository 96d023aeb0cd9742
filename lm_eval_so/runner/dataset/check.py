"""The first pass: validates every record and id, counts and hashes."""

import logging
from collections.abc import Callable
from contextlib import suppress
from itertools import islice

from lm_eval_so.runner.dataset import hints
from lm_eval_so.runner.dataset.base import Reader, Record
from lm_eval_so.runner.dataset.plain import plain_id
from lm_eval_so.runner.dataset.reader import Checked, Digest
from lm_eval_so.runner.dataset.sample import json_text, parse_sample
from lm_eval_so.runner.errors import DatasetError
from lm_eval_so.runner.hash_index import HashIndex
from lm_eval_so.runner.models import TestSample
from lm_eval_so.runner.models.media import MARK
from lm_eval_so.runner.text.once_per_kind import OncePerKind

_LOG = logging.getLogger(__name__)
_LOG.addFilter(OncePerKind())
_MOST_REPORTED = 10
_MARK = MARK.encode()  # of a file that a sample names


See = Callable[[str, TestSample], None]
"""Gets each sample of the first pass, with the place that an error names."""


def check(
    reader: Reader,
    examine: Callable[[TestSample], object] | None = None,
    see: See | None = None,
) -> Checked:
    """Reads the whole dataset once; takes some 30 bytes of memory per sample.

    Args:
        reader: Reads the dataset.
        examine: Called with each sample; a ValueError is that sample's error.
        see: Gets every sample, in order, until the first error.

    Raises:
        DatasetError: Up to ten records that are not samples, each as ``file:line: what is wrong``;
            or the dataset has no samples.
    """
    digest = Digest()
    positions = HashIndex()  # by id: the position of the first record with it
    faults: list[str] = []
    is_repeatable = True
    with reader.opened() as reading:
        stamp = reading.stamp()  # before: a change during the reading is found later
        for position, record in enumerate(reading.records):
            try:
                text = json_text(record)
                digest.add(text)
                is_repeatable &= _MARK not in text
                sample_id, sample = _read(text, examine, is_whole=see is not None)
            except ValueError as error:
                faults.append(f"{record.where}: {error}")
            else:
                first = positions.setdefault(sample_id, position)
                if first != position and (where := _where(reader, first, sample_id)):
                    faults.append(f"{record.where}: duplicate id {sample_id!r}, first at {where}")
                if sample is not None:
                    is_repeatable &= not _warn_of_unsent(record, sample)
                    if see is not None and not faults:
                        see(record.where, sample)
            if len(faults) == _MOST_REPORTED:
                faults.append(f"stopped after {_MOST_REPORTED} errors")
                break
    if faults:
        raise DatasetError("\n".join(faults))
    if not len(positions):
        raise DatasetError(f"dataset {reader.name} has no samples")
    return Checked(
        count=len(positions), sha256=digest.hex(), stamp=stamp, is_repeatable=is_repeatable
    )


def _read(
    text: bytes, examine: Callable[[TestSample], object] | None, *, is_whole: bool
) -> tuple[str, TestSample | None]:
    """The id of a sample, and the sample; of a plain one only where somebody looks at it."""
    if examine is None and not is_whole and (sample_id := plain_id(text)) is not None:
        return sample_id, None
    sample = parse_sample(text)
    if examine is not None:
        examine(sample)
    return sample.id, sample


def _warn_of_unsent(record: Record, sample: TestSample) -> bool:
    """Whether there was something to warn of."""
    names = hints.kept_only(sample.model_extra) if sample.model_extra else []
    if names:
        _LOG.warning(
            "%s: %s of a sample: kept, but not sent. Set parameters in the config (params.*); put "
            "a system text into the messages or into the prompt",
            record.where,
            ", ".join(names),
        )
    return bool(names)


def _where(reader: Reader, position: int, sample_id: str) -> str | None:
    """The place of the record at a position, if it has this id: two ids can have one hash."""
    with reader.opened() as reading:
        for record in islice(reading.records, position, position + 1):
            with suppress(ValueError):  # it is changed at this moment
                if parse_sample(json_text(record)).id == sample_id:
                    return record.where
    return None
