"""What the check of a dataset costs, and the least that it could: each line read as JSON.

``python check.py <test.jsonl>`` prints the seconds of CPU of both.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from lm_eval_so.runner.config.schema import DatasetConfig
from lm_eval_so.runner.dataset.check import check
from lm_eval_so.runner.dataset.source import locate
from parse import seconds


def checked(path: str) -> float:
    reader = locate(DatasetConfig(path=Path(path))).reader
    began = time.process_time()
    check(reader)
    return time.process_time() - began


if __name__ == "__main__":
    bare = min(seconds(sys.argv[1:]) for _ in range(3))
    print(checked(sys.argv[1]), bare)  # noqa: T201 - the caller reads it
