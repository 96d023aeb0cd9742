"""An export takes no more memory for more results."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING

import pytest

from lm_eval_so.report.export.cell import open_cells
from lm_eval_so.report.export.export import Export
from lm_eval_so.report.export.registry import FORMATS
from support.run_directories import answered, write_run

if TYPE_CHECKING:
    from pathlib import Path

TEXT, COUNT = 20_000, 600


@pytest.mark.parametrize("to", ["csv", "xlsx", "junit", "openai_evals"])
@pytest.mark.parametrize("state", ["complete", "running"])
def test_results_are_read_one_at_a_time(tmp_path: Path, to: str, state: str) -> None:
    results = (answered(f"s{n}", "x" * TEXT) for n in range(COUNT))
    run = write_run(tmp_path / "run", results, state=state)
    write = FORMATS[to].writer()
    export = Export(open_cells([run]))
    with (tmp_path / "out").open("wb") as file:
        tracemalloc.start()
        try:
            write(export, file)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < TEXT * COUNT / 4
