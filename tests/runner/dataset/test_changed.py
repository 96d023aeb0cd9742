"""A dataset that is another one by the time it is asked."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
from typing import TYPE_CHECKING

import orjson
import pytest

from conftest import rows
from lm_eval_so import ChatResponse, RunConfig, RunReport
from lm_eval_so.runner.config.schema import DatasetConfig, RunnerOptions, RunPlan
from lm_eval_so.runner.errors import DatasetError
from lm_eval_so.runner.run.prepare import prepare
from lm_eval_so.runner.run.run import Run
from support.backends import Sends

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lm_eval_so import RunRequest

COUNT = 200
CONFIG = RunConfig(backend="sends", model="m")


def lines(*numbers: int, question: str = "question") -> bytes:
    samples = [
        {"id": f"s{n}", "messages": [{"role": "user", "content": f"{question} {n}"}]}
        for n in numbers
    ]
    return "".join(json.dumps(sample) + "\n" for sample in samples).encode()


WHOLE = lines(*range(COUNT))
OTHER = lines(*range(COUNT), question="anothers")
"""Of the same size."""


def packed(path: Path, data: bytes) -> bytes:
    return gzip.compress(data, mtime=0) if path.suffix == ".gz" else data


def replaced(data: bytes) -> Callable[[Path], object]:
    """By another file in its place."""

    def replace(path: Path) -> None:
        new = path.with_name("new")
        new.write_bytes(packed(path, data))
        new.replace(path)

    return replace


def rewritten(data: bytes) -> Callable[[Path], object]:
    """The same file, written anew."""
    return lambda path: path.write_bytes(packed(path, data))


def rewritten_behind_its_back(path: Path) -> None:
    """With the size and the time of before."""
    before = path.stat()
    path.write_bytes(OTHER)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def carry_out(
    path: Path, *, before: Callable[[Path], object] | None, at: int = 0
) -> tuple[RunReport, list[str]]:
    """A run on a dataset that changes before its second reading, or beside an answer.

    Returns:
        Its report, and what was asked.
    """
    asked: list[str] = []

    async def send(request: RunRequest) -> ChatResponse:
        asked.append(request.messages[-1]["content"])  # type: ignore[arg-type]
        await asyncio.sleep(0)
        if before and len(asked) == at:
            before(path)
        return ChatResponse(text="fine")

    plan = RunPlan(
        dataset=DatasetConfig(path=path),
        run_config=CONFIG,
        options=RunnerOptions(max_concurrency=2),
        output_dir=path.with_name("run"),
    )
    with Run(prepare(plan, Sends(send))) as run:
        if before and not at:
            before(path)
        return asyncio.run(run.carry_out()), asked


@pytest.fixture(params=["test.jsonl", "test.jsonl.gz"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    found: Path = tmp_path / request.param
    found.write_bytes(packed(found, WHOLE))
    return found


CHANGES = [
    pytest.param(lines(*range(30)), id="shrunk"),
    pytest.param(lines(*range(COUNT + 1)), id="grown"),
    pytest.param(lines(*range(COUNT - 1), 0), id="an-id-twice"),
    pytest.param(OTHER, id="other-questions"),
    pytest.param(lines(*range(COUNT))[:-20], id="torn"),
    pytest.param(b"", id="empty"),
    pytest.param(b"\n".join(WHOLE.splitlines()[::-1]), id="another-order"),
]


@pytest.mark.parametrize("how", [replaced, rewritten])
@pytest.mark.parametrize("data", CHANGES)
def test_what_was_changed_after_the_check_is_not_asked(
    how: Callable[[bytes], Callable[[Path], object]], data: bytes, path: Path
) -> None:
    report, asked = carry_out(path, before=how(data))
    assert (report.exit_code, report.state, asked) == (2, "aborted", [])
    assert isinstance(report.fault, DatasetError)
    assert f"dataset {path} has changed since it was checked" in str(report.fault)


@pytest.mark.parametrize("data", CHANGES)
def test_what_is_rewritten_while_it_is_asked_stops_the_run(data: bytes, path: Path) -> None:
    report, asked = carry_out(path, before=rewritten(data), at=5)
    assert (report.exit_code, report.state) == (2, "aborted")
    assert "has changed since it was checked" in str(report.fault)
    assert len(asked) < COUNT
    assert len(rows(report.results_path)) == len(asked), "what was received is kept"
    path.write_bytes(packed(path, WHOLE))
    again, more = carry_out(path, before=None)
    assert (again.exit_code, len(asked) + len(more)) == (0, COUNT)


@pytest.mark.parametrize("at", [0, 5], ids=["before", "in-mid-run"])
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(os.utime, id="touched"),
        pytest.param(rewritten(WHOLE), id="rewritten"),
        pytest.param(replaced(WHOLE), id="replaced"),
    ],
)
def test_the_same_samples_are_the_same_dataset(
    change: Callable[[Path], object], at: int, path: Path
) -> None:
    report, asked = carry_out(path, before=change, at=at)
    assert (report.exit_code, len(asked)) == (0, COUNT)


def test_line_ends_and_blank_lines_make_no_other_dataset(path: Path) -> None:
    report, asked = carry_out(path, before=rewritten(b"\n" + WHOLE.replace(b"\n", b"\r\n")))
    assert (report.exit_code, len(asked)) == (0, COUNT)


@pytest.mark.parametrize("data", CHANGES)
def test_a_file_that_is_open_is_read_to_its_end_whatever_takes_its_name(
    data: bytes, path: Path
) -> None:
    report, asked = carry_out(path, before=replaced(data), at=5)
    assert (report.exit_code, len(asked)) == (0, COUNT)
    first = orjson.loads(report.metadata_path.read_bytes())["dataset"]
    path.write_bytes(packed(path, WHOLE))
    again, _ = carry_out(path, before=None)
    recorded = orjson.loads(again.metadata_path.read_bytes())["dataset"]
    assert first["sha256"] == recorded["sha256"]


def test_a_change_that_no_size_or_time_tells_is_found_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "test.jsonl"
    path.write_bytes(WHOLE)
    report, _ = carry_out(path, before=rewritten_behind_its_back)
    assert report.exit_code == 2
    assert "has changed since it was checked" in str(report.fault)


def test_a_dataset_that_is_gone_is_a_sentence(path: Path) -> None:
    report, asked = carry_out(path, before=lambda found: found.unlink())
    assert (report.exit_code, asked) == (2, [])
    assert f"dataset {path} cannot be read" in str(report.fault)
