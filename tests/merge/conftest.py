from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from lm_eval_so.runner.config.schema import DatasetConfig
from lm_eval_so.runner.dataset.check import check
from lm_eval_so.runner.dataset.source import locate
from support.run_directories import write_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from lm_eval_so.runner.models import RunResult


@pytest.fixture
def left(tmp_path: Path, make_dataset: Callable[..., Path]) -> Callable[..., Path]:
    """A run directory of this name with these lines, of a dataset with ``count`` samples."""

    def left(name: str, lines: Iterable[RunResult], count: int = 4, **changed: Any) -> Path:  # noqa: ANN401
        path = make_dataset(count)
        checked = check(locate(DatasetConfig(path=path)).reader)
        record = {
            "id": "numbers",
            "path": str(path / "test.jsonl"),
            "sha256": checked.sha256,
            "sample_count": count,
            "config": {"path": str(path)},
            **changed.pop("dataset", {}),
        }
        fields = {"dataset": record, "fingerprint": "f", "samples": count, **changed}
        return write_run(tmp_path / name, lines, **fields)

    return left
