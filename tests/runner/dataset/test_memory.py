"""Memory does not grow with the dataset: rows are read, checked and forgotten."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from conftest import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

PEAK = """
import resource, sys
from lm_eval_so.runner.config.schema import DatasetConfig
from lm_eval_so.runner.dataset.check import check
from lm_eval_so.runner.dataset.source import locate
assert check(locate(DatasetConfig(path=sys.argv[1])).reader).count == int(sys.argv[2])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
FEW, MANY = 10_000, 200_000
_PAD = "x" * 400
_ENTRY = 100  # bytes for a sample: its hash in the index of ids, and in that of the made ids
_SLACK = 8 << 20  # bytes, of allocators


def write(path: Path, count: int) -> None:
    if path.suffix == ".parquet":
        import pyarrow as pa  # noqa: PLC0415 - of one case
        import pyarrow.parquet as pq  # noqa: PLC0415 - of one case

        with pq.ParquetWriter(path, pa.schema([("question", pa.string())])) as writer:
            for start in range(0, count, 5000):
                rows = [{"question": f"{n} {_PAD}"} for n in range(start, start + 5000)]
                writer.write_table(pa.Table.from_pylist(rows))
        return
    with path.open("w") as file:
        if path.suffix == ".csv":
            file.write("question,n\n")
        for n in range(count):
            row = f'"{n} {_PAD}",1' if path.suffix == ".csv" else f'{{"question": "{n} {_PAD}"}}'
            file.write(row + "\n")


def peak(path: Path, count: int) -> int:
    """Bytes that a process needs at the most to check a dataset of so many rows."""
    write(path, count)
    done = subprocess.run(
        [sys.executable, "-c", PEAK, path, str(count)],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    path.unlink()
    return int(done.stdout) << 10


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss counts bytes elsewhere")
@pytest.mark.parametrize("name", ["d.jsonl", "d.csv", "d.parquet"])
def test_memory_grows_by_a_few_words_a_row(tmp_path: Path, name: str) -> None:
    grown = peak(tmp_path / name, MANY) - peak(tmp_path / name, FEW)
    assert grown < (MANY - FEW) * _ENTRY + _SLACK
    assert (MANY - FEW) * len(_PAD) / 2 > (MANY - FEW) * _ENTRY + _SLACK, "the rows do not fit"
