"""What a disk loses in the middle of a run is owed, and asked again by the same command."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections import Counter
from typing import TYPE_CHECKING

import orjson
import pytest

from conftest import rows
from lm_eval_so import ChatResponse, RunConfig, RunReport, run
from lm_eval_so.runner import api
from lm_eval_so.runner.backends.function import backend_of
from lm_eval_so.runner.config.schema import DatasetConfig, RunPlan
from lm_eval_so.runner.errors import LostLinesError
from lm_eval_so.runner.run.observer import NullObserver
from lm_eval_so.runner.run.prepare import prepare
from lm_eval_so.runner.run.run import Run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lm_eval_so import RunRequest, RunResult

COUNT = 40
CONFIG = RunConfig(backend="python", model="m")


class Backend:
    """Answers after a moment, and does something to the disk beside certain answers."""

    def __init__(self, *, harm: Callable[[], object], at: set[int]) -> None:
        self._harm, self.at = harm, at
        self.asked: Counter[str] = Counter()
        self._chance = random.Random(3)

    async def send(self, request: RunRequest) -> ChatResponse:
        self.asked[request.sample_id] += 1
        number = self.asked.total()
        await asyncio.sleep(self._chance.random() / 1000)
        if number in self.at:
            self.at.remove(number)
            self._harm()
        return ChatResponse(text="x" * self._chance.randrange(300))


def whole_lines(data: bytes) -> list[bytes]:
    return [line for line in data.split(b"\n")[:-1] if line.endswith(b"}") and b"\0" not in line]


def check(report: RunReport, backend: Backend, survivors: list[bytes], directory: Path) -> None:
    """All samples have their line, in order; what survived is untouched and was asked once."""
    assert not backend.at, "the disk was harmed"
    assert (report.exit_code, report.state) == (0, "complete")
    assert report.summary is not None
    assert report.summary.status_counts == {"ok": COUNT}
    lines = (directory / "run_results.jsonl").read_bytes().splitlines()
    assert [orjson.loads(line)["sample_id"] for line in lines] == [f"s{n}" for n in range(COUNT)]
    assert set(survivors) <= set(lines)
    for line in survivors:
        assert backend.asked[orjson.loads(line)["sample_id"]] == 1
    assert list(directory.glob("*.tmp")) == []
    before = backend.asked.total()
    run(report_dataset(directory), CONFIG, backend=backend.send, output_dir=directory)
    assert backend.asked.total() == before, "nothing is owed any more"


def report_dataset(directory: Path) -> str:
    path: str = orjson.loads((directory / "run_metadata.json").read_bytes())["dataset"]["path"]
    return path


@pytest.mark.parametrize("seed", range(50))
def test_what_a_cut_in_mid_run_takes_is_asked_again_and_the_rest_is_kept(
    seed: int, tmp_path: Path, make_dataset: Callable[..., Path]
) -> None:
    chance = random.Random(seed)
    path = tmp_path / "run" / "run_results.jsonl"
    survivors: list[bytes] = []

    def cut() -> None:
        data = path.read_bytes()
        length = chance.randrange(len(data) + 1)
        survivors[:] = [*whole_lines(data[:length])]
        os.truncate(path, length)

    backend = Backend(harm=cut, at={chance.randrange(2, COUNT)})
    report = run(make_dataset(COUNT), CONFIG, backend=backend.send, output_dir=tmp_path / "run")
    check(report, backend, survivors, tmp_path / "run")


def overwrite(path: Path, start: float, end: float, filler: bytes) -> list[bytes]:
    """Replaces a part of the file; returns the lines that are whole afterwards."""
    data = path.read_bytes()
    first, last = int(start * len(data)), int(end * len(data))
    changed = data[:first] + filler * (last - first) + data[last:]
    with path.open("r+b") as file:
        file.truncate(0)
        file.write(changed)
    return [line for line in whole_lines(changed) if line in whole_lines(data)]


def cut_all_but(path: Path, start: float, end: float, _: bytes) -> list[bytes]:
    """Takes a part out, as if it had never been written."""
    data = path.read_bytes()
    changed = data[: int(start * len(data))] + data[int(end * len(data)) :]
    with path.open("r+b") as file:
        file.truncate(0)
        file.write(changed)
    return [line for line in whole_lines(changed) if line in whole_lines(data)]


@pytest.mark.parametrize("how", [overwrite, cut_all_but])
@pytest.mark.parametrize("filler", [b"\0", b"x", b"\n"], ids=["nuls", "text", "newlines"])
@pytest.mark.parametrize(("start", "end"), [(0, 0.1), (0.3, 0.31), (0.5, 0.9), (0.9, 1), (0, 1)])
def test_whatever_is_lost_in_the_middle_is_asked_again(
    how: Callable[[Path, float, float, bytes], list[bytes]],
    start: float,
    end: float,
    filler: bytes,
    tmp_path: Path,
    make_dataset: Callable[..., Path],
) -> None:
    path = tmp_path / "run" / "run_results.jsonl"
    survivors: list[bytes] = []
    backend = Backend(harm=lambda: survivors.extend(how(path, start, end, filler)), at={25})
    report = run(make_dataset(COUNT), CONFIG, backend=backend.send, output_dir=tmp_path / "run")
    check(report, backend, survivors, tmp_path / "run")


def test_a_file_that_is_cut_again_and_again_is_put_right_each_time(
    tmp_path: Path, make_dataset: Callable[..., Path]
) -> None:
    path = tmp_path / "run" / "run_results.jsonl"
    backend = Backend(harm=lambda: os.truncate(path, 10), at={5, 9, 10, 11, 30, 45})
    report = run(make_dataset(COUNT), CONFIG, backend=backend.send, output_dir=tmp_path / "run")
    check(report, backend, [], tmp_path / "run")


def test_a_file_that_somebody_takes_away_is_written_again_without_asking(
    tmp_path: Path, make_dataset: Callable[..., Path]
) -> None:
    path = tmp_path / "run" / "run_results.jsonl"
    backend = Backend(harm=path.unlink, at={25})
    report = run(make_dataset(COUNT), CONFIG, backend=backend.send, output_dir=tmp_path / "run")
    check(report, backend, [], tmp_path / "run")
    assert set(backend.asked.values()) == {1}


def test_lines_of_earlier_commands_are_compared_too(
    tmp_path: Path, make_dataset: Callable[..., Path]
) -> None:
    """A resumed file loses what an earlier command has written."""
    path = tmp_path / "run" / "run_results.jsonl"
    whole = make_dataset(COUNT)
    first = Backend(harm=lambda: None, at=set())
    run(whole, CONFIG, backend=first.send, output_dir=tmp_path / "run")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:30]))
    second = Backend(harm=lambda: os.truncate(path, len(b"".join(lines[:7])) + 20), at={5})
    report = run(whole, CONFIG, backend=second.send, output_dir=tmp_path / "run")
    check(report, second, [], tmp_path / "run")
    assert set(lines[:7]) <= set(path.read_bytes().splitlines(keepends=True))
    assert second.asked.keys().isdisjoint({f"s{n}" for n in range(7)})


def test_an_interrupted_run_keeps_what_is_left_and_owes_the_rest(
    tmp_path: Path, make_dataset: Callable[..., Path]
) -> None:
    path = tmp_path / "run" / "run_results.jsonl"
    directory = tmp_path / "run"

    def harm() -> None:
        os.truncate(path, 3000)
        signal.raise_signal(signal.SIGTERM)

    backend = Backend(harm=harm, at={20})
    report = api.carry_out(make_dataset(COUNT), CONFIG, backend=backend.send, output_dir=directory)
    assert report.state == "partial"
    assert report.summary is not None
    counts = report.summary.status_counts
    assert len(rows(path)) == counts["ok"] == COUNT - counts["owed"]
    again = run(make_dataset(COUNT), CONFIG, backend=backend.send, output_dir=directory)
    check(again, backend, [], directory)


def test_a_disk_that_keeps_nothing_is_told_after_some_rounds(
    tmp_path: Path, make_dataset: Callable[..., Path]
) -> None:
    path = tmp_path / "run" / "run_results.jsonl"
    backend = Backend(harm=lambda: os.truncate(path, 0), at=set(range(1, 100_000)))
    report = api.carry_out(
        make_dataset(COUNT), CONFIG, backend=backend.send, output_dir=tmp_path / "run"
    )
    assert report.exit_code == 2
    assert isinstance(report.fault, LostLinesError)
    assert backend.asked.total() <= 5 * COUNT


class CutsWhileItLooks(NullObserver):
    """An observer that cuts a file when it is told of a sample that has its answer."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def answered_before(self, read: Callable[[], RunResult]) -> None:  # noqa: ARG002 - the protocol's
        os.truncate(self._path, 3000)


def test_a_loss_that_nobody_can_make_good_any_more_is_no_complete_run(
    tmp_path: Path, make_dataset: Callable[..., Path]
) -> None:
    directory, dataset = tmp_path / "run", make_dataset(COUNT)
    backend = Backend(harm=lambda: None, at=set())
    run(dataset, CONFIG, backend=backend.send, output_dir=directory)
    plan = RunPlan(dataset=DatasetConfig(path=dataset), run_config=CONFIG, output_dir=directory)
    observer = CutsWhileItLooks(directory / "run_results.jsonl")
    with Run(prepare(plan, backend_of(backend.send, CONFIG)), observer) as opened:
        report = asyncio.run(opened.carry_out())
    assert (report.exit_code, report.state) == (2, "aborted")
    assert isinstance(report.fault, LostLinesError)
    again = run(dataset, CONFIG, backend=backend.send, output_dir=directory)
    check(again, backend, [], directory)
