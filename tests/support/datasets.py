"""Reads datasets as a run does: found, checked, then read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lm_eval_so.runner.config.schema import DatasetConfig
from lm_eval_so.runner.dataset.check import check
from lm_eval_so.runner.dataset.reader import read_checked
from lm_eval_so.runner.dataset.source import locate

if TYPE_CHECKING:
    from pathlib import Path

    from lm_eval_so.runner.models import TestSample


def samples_of(path: Path | str, **config: object) -> list[TestSample]:
    reader = locate(DatasetConfig.model_validate({"path": path, **config})).reader
    return list(read_checked(reader, check(reader)))


def questions_of(path: Path | str, **config: object) -> list[str]:
    """What the user says at the end of each sample."""
    return [str(sample.messages[-1]["content"]) for sample in samples_of(path, **config)]
