"""Runs in parts that are killed at any call to the disk, and disks that refuse any of them."""

from __future__ import annotations

import shutil
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from conftest import rows
from support import faults
from support.faults import EIO, ENOSPC, EVER, KILL

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

COUNT = 5
WHOLE = [f"s{number}" for number in range(COUNT)]
IN_PARTS = {"parts_above": 0, "shard_size": 2}
MOST_CALLS = 500
STRIDE = 7
"""From one call at which a run is killed to the next."""

Answers = dict[tuple[str, str], set[str]]


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return faults.library(tmp_path_factory.mktemp("faults"))


def answers(directory: Path) -> Answers:
    """By sample and question the trace ids of all answers that are anywhere in a run directory."""
    found: Answers = defaultdict(set)
    names = ("run_results.jsonl", "superseded_results.jsonl", "parts/*.jsonl")
    for path in (path for name in names for path in directory.glob(name)):
        for line in path.read_bytes().splitlines():
            try:
                row = orjson.loads(line)
            except orjson.JSONDecodeError:  # torn by the kill
                continue
            if row["status"] == "ok":
                question = row["sample_id"], row["request_messages"][-1]["content"]
                found[question].add(row["trace_id"])
    return found


def check(directory: Path, before: Answers) -> None:
    """Each sample has one line, in order; of those that had an answer it is that one."""
    lines = rows(directory / "run_results.jsonl")
    assert [line["sample_id"] for line in lines] == WHOLE
    metadata = orjson.loads((directory / "run_metadata.json").read_bytes())
    assert (metadata["state"], metadata["summary"]["status_counts"]) == ("complete", {"ok": COUNT})
    now = answers(directory)
    for question, traces in before.items():
        assert now[question] & traces, f"{question} was asked again, or is gone"
    assert not (directory / "parts").exists()
    assert not list(directory.glob("*.tmp"))


def before_the_fault(
    begun: str, library: Path, folder: Path, dataset: Path, edited: Path
) -> tuple[Path | None, dict[str, Any]]:
    """What is there when the faulty command begins, and how that one stores its results."""
    if begun == "new":
        return None, IN_PARTS
    fault, stores = ["write", "/base/parts/", 5, 1, KILL], IN_PARTS
    if begun == "one file":
        fault, stores = ["write", "/base/run_results", 4, 1, KILL], {}
    order = {"run": "base", "store": stores, "faults": [fault]}
    asked = edited if begun == "edited" else dataset
    (((killed,),)) = faults.forks(library, folder, asked, order)
    assert killed["code"] == -9, killed["said"]
    base = folder / "base"
    if begun.startswith("without shards.json"):
        (base / "shards.json").unlink()
    later = {
        "without shards.json": {**IN_PARTS, "shard_size": 3},
        "without shards.json, to one file": {},
    }
    return base, later.get(begun, IN_PARTS)


BEGUN = [
    "new",
    "parts",
    "one file",
    "edited",
    "without shards.json",
    "without shards.json, to one file",
]


@pytest.fixture
def datasets(make_dataset: Callable[..., Path]) -> tuple[Path, Path]:
    """One, and an edited one under its id."""
    dataset, edited = make_dataset(COUNT), make_dataset(COUNT, "edited", s0="anew", s3="anew")
    shutil.copy(dataset / "metadata.json", edited)
    return dataset, edited


@pytest.mark.parametrize("begun", BEGUN)
def test_a_kill_at_any_call_to_the_disk_costs_no_answer(
    begun: str, library: Path, tmp_path: Path, datasets: tuple[Path, Path]
) -> None:
    base, store = before_the_fault(begun, library, tmp_path, *datasets)
    begin = 1 + BEGUN.index(begun) % STRIDE
    numbers = range(begin, MOST_CALLS, STRIDE)
    for at in numbers if base else ():
        shutil.copytree(base or tmp_path, tmp_path / f"run-{at}")
    orders = [
        {
            "run": f"run-{at}",
            "store": store,
            "until_alive": True,
            "faults": [["any", f"/run-{at}", at, 1, KILL]],
        }
        for at in numbers
    ]
    killed = [first for (first,) in faults.forks(library, tmp_path, datasets[0], *orders)]
    assert len(orders) > len(killed) > MOST_CALLS / STRIDE / 10, "each call of a run was met"
    assert {first["code"] for first in killed[:-1]} == {-9}, killed
    again = [{**order, "faults": [None]} for order in orders[: len(killed)]]
    before = [answers(tmp_path / str(order["run"])) for order in again]
    ended = faults.forks(
        library, tmp_path, datasets[0], *({**order, "until_alive": False} for order in again)
    )
    for order, found, (second,) in zip(again, before, ended, strict=True):
        assert second["code"] == 0, (order, second["said"])
        check(tmp_path / str(order["run"]), found)


CALLS = ["write", "fsync", "rename", "unlink", "copy", "open", "mkdir", "read"]


@pytest.mark.parametrize("error", [EIO, ENOSPC])
@pytest.mark.parametrize("call", CALLS)
def test_what_a_disk_refuses_is_a_sentence_and_the_same_command_goes_on(
    call: str, error: int, library: Path, tmp_path: Path, datasets: tuple[Path, Path]
) -> None:
    base, _ = before_the_fault("parts", library, tmp_path, *datasets)
    assert base is not None
    orders = []
    for at in (1, 2, 3, 5, 8, 13):
        for times in (1, EVER):
            run = f"run-{at}-{times}"
            shutil.copytree(base, tmp_path / run)
            fault = [call, f"/{run}", at, times, error]
            orders.append({"run": run, "store": IN_PARTS, "faults": [fault]})
    ended = [first for (first,) in faults.forks(library, tmp_path, datasets[0], *orders)]
    for first in ended:
        assert first["code"] in {0, 2}, first["said"]
        assert "\n" not in first["said"]
    before = [answers(tmp_path / str(order["run"])) for order in orders]
    again = [{**order, "faults": [None]} for order in orders]
    ended = [last for (last,) in faults.forks(library, tmp_path, datasets[0], *again)]
    for order, found, last in zip(orders, before, ended, strict=True):
        assert last["code"] == 0, (order, last["said"])
        check(tmp_path / str(order["run"]), found)
