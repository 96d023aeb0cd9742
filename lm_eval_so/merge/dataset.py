"""The dataset of the runs, read again: it tells the order, and what was asked."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from lm_eval_so.merge.sources import Source
from lm_eval_so.runner.config.base import at_home
from lm_eval_so.runner.config.schema import DatasetConfig
from lm_eval_so.runner.dataset.check import check
from lm_eval_so.runner.dataset.reader import Checked
from lm_eval_so.runner.dataset.source import DatasetSource, locate
from lm_eval_so.runner.errors import DatasetError, StoreError
from lm_eval_so.runner.store.metadata import METADATA
from lm_eval_so.runner.store.run_metadata import DatasetRecord


class Dataset(NamedTuple):
    """The dataset that the runs were about.

    Attributes:
        record: What a run wrote of it, with the place where it is now.
    """

    source: DatasetSource
    checked: Checked
    record: DatasetRecord


def read_dataset(sources: Sequence[Source], moved: Path | None) -> Dataset:
    """Finds the dataset where one of the runs found it, and verifies its digest.

    Args:
        sources: The runs; all have the same digest.
        moved: Where it is now, if somebody said so.

    Raises:
        DatasetError: It is not there, or not the same any more.
        StoreError: A run does not tell how to read it.
    """
    faults = []
    tried: list[DatasetConfig] = []
    for source in sources:
        config = _config(source)
        if moved is not None:
            config = config.model_copy(update={"path": at_home(moved)})
        if config in tried:
            continue
        tried.append(config)
        try:
            return _verified(config, source.metadata.dataset)
        except DatasetError as fault:
            faults.append(fault)
    raise faults[0]


def _config(source: Source) -> DatasetConfig:
    record = source.metadata.dataset
    try:
        return DatasetConfig.model_validate(record.config or {"path": record.path})
    except ValidationError as error:
        raise StoreError(
            f"{source.directory / METADATA}: dataset.config cannot be understood"
        ) from error


def _verified(config: DatasetConfig, record: DatasetRecord) -> Dataset:
    way_out = "say where it is with --dataset PATH"
    try:
        source = locate(config)
        checked = check(source.reader)
    except DatasetError as fault:
        problem = str(fault).partition("\n")[0].rstrip(".")
        raise DatasetError(
            f"the dataset of the runs cannot be read: {problem}; {way_out}"
        ) from fault
    if checked.sha256 != record.sha256:
        raise DatasetError(
            f"dataset {config.path} is not the one of the runs any more (it has {checked.count:,} "
            f"samples, theirs had {record.sample_count:,}, and its content differs); {way_out}"
        )
    typed = {**record.config, "path": str(config.path)}
    now = {"path": str(source.path), "location": source.location, "config": typed}
    return Dataset(source, checked, record.model_copy(update=now))
