"""A run directory that another process has claimed in spite of the lock."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from lm_eval_so.runner.errors import RunDirectoryBusyError
from lm_eval_so.runner.masking.redactor import Redactor
from lm_eval_so.runner.store.directory import RunDirectory
from lm_eval_so.runner.store.holder import Holder
from support.metadata import metadata
from support.results import result

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

IDENTITY = {"dataset": "d", "model": "m"}


def no_time(_: float) -> None: ...


@pytest.fixture
def taken_over(tmp_path: Path) -> Iterator[RunDirectory]:
    with RunDirectory(tmp_path, IDENTITY, 3, Redactor([])) as directory:
        directory.write_metadata(metadata(identity=IDENTITY))
        for index in (1, 0):
            directory.add(index, result("abc"[index]))
        while True:
            other = Holder(tmp_path / ".lock.holder", sleep=no_time)
            with suppress(RunDirectoryBusyError):  # a heartbeat fell among its looks
                other.claim()
                break
        yield directory
    other.check()
    other.release()


def contents(path: Path) -> dict[str, bytes]:
    return {one.name: one.read_bytes() for one in path.iterdir() if "holder" not in one.name}


def test_nothing_is_replaced_any_more(taken_over: RunDirectory) -> None:
    before = contents(taken_over.path)
    with pytest.raises(RunDirectoryBusyError):
        taken_over.put_in_order()
    with pytest.raises(RunDirectoryBusyError):
        taken_over.write_metadata(metadata(identity=IDENTITY, state="complete"))
    assert contents(taken_over.path) == before


def test_the_next_sync_tells(taken_over: RunDirectory) -> None:
    with pytest.raises(RunDirectoryBusyError, match=r"now writes to .* this process stops writing"):
        asyncio.run(taken_over.keep_synced())


def test_once_it_is_known_no_result_is_added(taken_over: RunDirectory) -> None:
    with pytest.raises(RunDirectoryBusyError):
        taken_over._sync()
    before = contents(taken_over.path)
    with pytest.raises(RunDirectoryBusyError):
        taken_over.add(2, result("c"))
    assert contents(taken_over.path) == before


def test_after_a_time_in_which_it_was_stopped_it_looks_before_it_adds(tmp_path: Path) -> None:
    now = 100.0
    holder = Holder(tmp_path / ".lock.holder", clock=lambda: now)
    holder._ended.set()  # it is stopped: no heartbeat
    holder.claim()
    Holder(tmp_path / ".lock.holder", sleep=no_time).claim()
    holder.check_if_due()  # nobody can have come: it was not stopped for as long as others watch
    now += 3.1
    with pytest.raises(RunDirectoryBusyError):
        holder.check_if_due()
