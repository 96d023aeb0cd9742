"""Rows of any format become samples."""

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from itertools import chain
from typing import Any

from lm_eval_so.runner.config.schema import DatasetColumns, DatasetConfig
from lm_eval_so.runner.dataset.base import Pass, Place, Reader, Record, opened_at, seekable
from lm_eval_so.runner.dataset.mapping.columns import Columns, columns_of, kept_names
from lm_eval_so.runner.dataset.mapping.ids import Ids
from lm_eval_so.runner.dataset.mapping.row import sample_of
from lm_eval_so.runner.errors import DatasetError

_LOG = logging.getLogger(__name__)
_MOST_HEADERS = 1000  # remembered; lines of JSON may each have their own


class Mapped:
    """A `Reader` of the samples that another one's rows hold.

    Lines of JSON that already are samples go through untouched: where the config says nothing, the
    first object decides whether the lines are samples or rows.
    """

    def __init__(self, reader: Reader, config: DatasetConfig) -> None:
        self._reader = reader
        self._config = config
        self._is_told = False

    @property
    def name(self) -> str:
        """That of the other reader."""
        return self._reader.name

    @contextmanager
    def opened(self) -> Iterator[Pass]:
        """Opens the other reader; a column that is missing or ambiguous is a DatasetError."""
        with self._reader.opened() as reading:
            yield reading._replace(records=self._records(reading.records))

    @property
    def can_seek(self) -> bool:
        """Whether the other reader can."""
        return seekable(self._reader) is not None

    @contextmanager
    def opened_at(self, place: Place) -> Iterator[Pass]:
        """Opens the other reader there; what the first record decides is read at the beginning."""
        are_samples = self._are_samples
        with opened_at(self._reader, place) as reading:
            records = reading.records
            if not are_samples:
                records = _OnePass(self._config, self._tell).samples(records, is_part=True)
            yield reading._replace(records=records)

    @cached_property
    def _are_samples(self) -> bool:
        """Whether the dataset is of samples that go through untouched."""
        if _says_how(self._config):
            return False
        with self._reader.opened() as reading:
            first = _up_to_first_row(reading.records)
            return bool(first) and _is_of_samples(first[-1])

    def _records(self, records: Iterator[Record]) -> Iterator[Record]:
        if not _says_how(self._config):
            first = _up_to_first_row(records)
            records = chain(first, records)
            if first and _is_of_samples(first[-1]):
                return records
        return _OnePass(self._config, self._tell).samples(records)

    def _tell(self, columns: Columns) -> None:
        """Says once what was guessed: when there is a log, which the check comes before."""
        if columns.guessed and not self._is_told and _LOG.isEnabledFor(logging.INFO):
            self._is_told = True
            found = [f"{field} from column `{name}`" for field, name in columns.guessed.items()]
            _LOG.info(
                "%s: %s; other columns are kept as metadata (dataset.columns.* says otherwise)",
                self.name,
                ", ".join(found),
            )


class _OnePass:
    """What is remembered while the rows are read once."""

    def __init__(self, config: DatasetConfig, tell: Any) -> None:  # noqa: ANN401 - a callback
        self._config = config
        self._tell = tell
        self._ids = Ids()
        self._known: dict[tuple[str, ...], Columns] = {}
        single = config.columns.model_dump(exclude={"metadata"})
        kept = [("metadata", name) for name in kept_names(config)]
        self._missing = [*((field, text) for field, text in single.items() if text), *kept]

    def samples(self, records: Iterator[Record], *, is_part: bool = False) -> Iterator[Record]:
        """The records as samples; those that cannot be are left as they are, for the check.

        Args:
            records: All of a dataset.
            is_part: Whether they are not all, so that none need have a column of the config.
        """
        is_empty = True
        for record in records:
            row = _row(record)
            if row is None or self._is_sample(record, row):
                yield record
                continue
            is_empty = False
            fixed = not isinstance(record.value, bytes)
            columns = self._columns(tuple(row), record, fixed=fixed)
            if columns is None:
                yield record
            else:
                value, follows = self._sample(row, columns)
                yield Record(record.where, value, follows)
        if self._missing and not is_empty and not is_part:
            field, text = self._missing[0]
            raise DatasetError(f"dataset.columns.{field}: no row has a key {text!r}")

    def _is_sample(self, record: Record, row: Mapping[str, Any]) -> bool:
        is_json = isinstance(record.value, bytes)
        return is_json and {"id", "messages"} <= row.keys() and not _says_how(self._config)

    def _sample(
        self, row: Mapping[str, Any], columns: Columns
    ) -> tuple[Mapping[str, Any] | ValueError, bool]:
        """The value of the record, and whether it follows from earlier ones."""
        try:
            sample = sample_of(row, columns, self._config.layout)
            if "id" in sample:
                return sample, False
            sample_id, is_again = self._ids.of(sample)
        except ValueError as fault:
            return fault, False
        except RecursionError:
            return ValueError("nested too deep"), False
        return {"id": sample_id, **sample}, is_again

    def _columns(self, header: tuple[str, ...], record: Record, *, fixed: bool) -> Columns | None:
        """The columns of a header; None if a line of JSON holds no question at all."""
        columns = self._known.get(header)
        if columns is None:
            try:
                columns = columns_of(header, self._config, fixed=fixed)
            except DatasetError as error:
                raise DatasetError(f"{record.where}: {error}") from error
            if len(self._known) < _MOST_HEADERS:
                self._known[header] = columns
            self._missing = [each for each in self._missing if not columns.reads(*each, header)]
        if not columns.has_question and not (self._config.columns.input or self._config.layout):
            if isinstance(record.value, bytes):
                return None
            shown = ", ".join(f"`{name}`" for name in header)
            raise DatasetError(
                f"{record.where}: no column looks like the question (columns: {shown}); type "
                "dataset.columns.input=COLUMN"
            )
        self._tell(columns)
        return columns


def _says_how(config: DatasetConfig) -> bool:
    return config.layout is not None or config.columns != DatasetColumns()


def _up_to_first_row(records: Iterator[Record]) -> list[Record]:
    """The records up to the first that can be read."""
    found = []
    for record in records:
        found.append(record)
        if _row(record) is not None:
            break
    return found


def _is_of_samples(record: Record) -> bool:
    row = _row(record)
    return isinstance(record.value, bytes) and row is not None and "messages" in row


def _row(record: Record) -> Mapping[str, Any] | None:
    """The row that a record holds; None if it is none."""
    value: object = record.value
    if isinstance(value, bytes):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    return value if isinstance(value, Mapping) else None
