"""A dataset whose check is remembered, and what can happen to it."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from lm_eval_so.runner.config.schema import DatasetConfig
from lm_eval_so.runner.dataset.remembered import CheckMemory
from lm_eval_so.runner.dataset.source import locate

if TYPE_CHECKING:
    from pathlib import Path

    from lm_eval_so.runner.dataset.reader import Checked

LONG_AGO = 1_700_000_000_000_000_000
"""Nanoseconds since the epoch."""
COUNT = 20


def sample(number: int, **more: object) -> dict[str, object]:
    messages = [{"role": "user", "content": f"question {number}"}]
    return {"id": f"s{number}", "messages": messages, **more}


def write(path: Path, *samples: object, modified_ns: int = LONG_AGO) -> None:
    """Writes over the file, so that its inode stays."""
    path.write_text("".join(json.dumps(one) + "\n" for one in samples))
    os.utime(path, ns=(modified_ns, modified_ns))


def spoil(path: Path) -> None:
    """Leaves no sample in the file, and its inode, its size and its time as they are."""
    found = path.stat()
    path.write_bytes(b"x" * found.st_size)
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


class Place:
    """A dataset, and the folder in which its check is remembered."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "numbers.jsonl"
        self.root = folder / "outputs"
        self.kept = self.root / ".checked"
        self.root.mkdir()
        write(self.path, *map(sample, range(COUNT)))

    def check(self, path: Path | None = None, **config: object) -> Checked:
        """What a command does, up to the moment in which it begins to send."""
        how = DatasetConfig(path=path or self.path, **config)  # type: ignore[arg-type]
        source = locate(how)
        memory = CheckMemory(self.kept, how, source.files)
        checked = memory.check(source.reader)
        memory.keep()
        return checked

    def read(self, checked: Checked) -> list[str]:
        how = DatasetConfig(path=self.path)
        source = locate(how)
        memory = CheckMemory(self.kept, how, source.files)
        return [sample.id for sample in memory.read(source.reader, checked)]

    def memory(self) -> Path:
        (found,) = self.kept.iterdir()
        return found
