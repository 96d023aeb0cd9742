"""Runs whose results are in parts: real processes against a real server."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from typing import TYPE_CHECKING

import orjson
import pytest

from conftest import program
from lm_eval_so import RunConfig, stream
from support.fake_openai import FakeOpenAI, Received, Reply
from support.patience import wait_for
from support.runs_in_parts import (
    IN_PARTS,
    OPENAI,
    SAMPLES,
    Done,
    ids,
    killed_after,
    lines,
    summary,
    times_asked,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.parametrize("repeats", [1, 3])
def test_the_joined_file_is_that_of_a_run_in_one_file(
    asked: Callable[..., Done], tmp_path: Path, repeats: int
) -> None:
    asked("output_dir=whole", f"repeats={repeats}")
    asked("output_dir=parts", f"repeats={repeats}", *IN_PARTS)
    assert lines(tmp_path / "parts") == lines(tmp_path / "whole")
    assert len(lines(tmp_path / "parts")) == SAMPLES * repeats
    ours, theirs = summary(tmp_path / "parts"), summary(tmp_path / "whole")
    for name in ("status_counts", "tokens", "attempts", "models", "total", "resumed", "requests"):
        if name == "models":
            ours[name], theirs[name] = ([*found[name]] for found in (ours, theirs))
        assert ours[name] == theirs[name], name
    assert not (tmp_path / "parts" / "parts").exists()


def test_a_finished_run_is_found_finished_from_its_parts(
    asked: Callable[..., Done], server: FakeOpenAI, tmp_path: Path
) -> None:
    asked("output_dir=parts", *IN_PARTS)
    before = (tmp_path / "parts" / "run_results.jsonl").read_bytes()
    again = asked("output_dir=parts")
    assert (tmp_path / "parts" / "run_results.jsonl").read_bytes() == before
    assert (len(server.requests), summary(tmp_path / "parts")["resumed"]) == (SAMPLES, SAMPLES)
    assert "40 samples were already answered" in again.stderr


def change_in_place(path: Path, old: bytes, new: bytes) -> None:
    """Changes a file without a trace in its size and times."""
    found, content = path.stat(), path.read_bytes()
    assert content.count(old)
    path.write_bytes(content.replace(old, new))
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


@pytest.mark.parametrize("limit", ["20", "0"])
def test_a_finished_run_reads_neither_its_lines_nor_the_dataset(
    asked: Callable[..., Done], tmp_path: Path, limit: str
) -> None:
    dataset = tmp_path / "numbers" / "test.jsonl"
    os.utime(dataset, (1, 1))  # a check of a file that is just written is not remembered
    more = ["output_root=.", "output_dir=parts", f"store.join_limit_gb={limit}", *IN_PARTS]
    asked(*more)
    before = summary(tmp_path / "parts")
    change_in_place(dataset, b"question", b"quaestio")
    for path in (tmp_path / "parts").rglob("*0*.jsonl" if limit == "0" else "run_results.jsonl"):
        change_in_place(path, b'"stop"', b'"pots"')
    asked(*more)
    after = summary(tmp_path / "parts")
    for name in ("finish_reasons", "status_counts", "tokens", "latency_ms"):
        assert after[name] == before[name], name


@pytest.mark.parametrize("limit", ["20", "0"])
def test_only_what_failed_is_asked_again(
    asked: Callable[..., Done], server: FakeOpenAI, tmp_path: Path, limit: str
) -> None:
    def fails_at_first(received: Received, nth: int) -> Reply:
        number = int(received.question.split()[-1])
        return Reply(status=400, text="no") if nth == 1 and number % 9 == 3 else Reply()

    server.behave = fails_at_first
    more = ["output_dir=parts", f"store.join_limit_gb={limit}", *IN_PARTS]
    asked(*more, code=1)
    assert summary(tmp_path / "parts")["status_counts"] == {"ok": 35, "error": 5}
    asked(*more)
    assert len(server.requests) == SAMPLES + 5
    found = summary(tmp_path / "parts")
    assert (found["status_counts"], found["resumed"]) == ({"ok": SAMPLES}, 35)
    asked(*[each for each in more if "limit" not in each], "store.join_limit_gb=1")
    assert len(server.requests) == SAMPLES + 5
    assert ids(tmp_path / "parts") == [f"s{n}" for n in range(SAMPLES)]


def test_after_kills_nothing_is_lost_and_only_what_was_in_flight_is_asked_twice(
    asked: Callable[..., Done],
    server: FakeOpenAI,
    make_dataset: Callable[..., Path],
    tmp_path: Path,
) -> None:
    server.behave = lambda _received, _nth: Reply(latency=0.03)
    overrides = [
        f"dataset.path={make_dataset(SAMPLES)}",
        "output_dir=parts",
        "runner.max_concurrency=3",
        *IN_PARTS,
    ]
    for answers in (9, 20, 33):
        killed_after(answers, server, overrides, tmp_path)
    asked("output_dir=parts", *IN_PARTS)
    assert ids(tmp_path / "parts") == [f"s{n}" for n in range(SAMPLES)]
    assert len(server.requests) <= SAMPLES + 3 * 3


def test_a_stopped_run_leaves_its_results_in_order_and_goes_on(
    asked: Callable[..., Done],
    server: FakeOpenAI,
    make_dataset: Callable[..., Path],
    tmp_path: Path,
) -> None:
    server.behave = lambda _received, _nth: Reply(latency=0.05 if len(server.requests) < 12 else 2)
    process = subprocess.Popen(
        [
            *program(),
            *OPENAI,
            f"dataset.path={make_dataset(SAMPLES)}",
            "output_dir=parts",
            "runner.max_concurrency=2",
            *IN_PARTS,
        ],
        env={**os.environ, **server.env},
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_for(lambda: len(server.requests) >= 12)
    process.send_signal(signal.SIGINT)
    assert process.wait(100) == 130
    server.behave = lambda _received, _nth: Reply()
    found = ids(tmp_path / "parts")
    assert found == sorted(found, key=lambda name: int(name[1:]))
    counts = summary(tmp_path / "parts")["status_counts"]
    assert counts == {"ok": len(found), "owed": SAMPLES - len(found)}
    asked("output_dir=parts", *IN_PARTS)
    assert (len(server.requests), times_asked(server)) == (SAMPLES, {1})
    assert ids(tmp_path / "parts") == [f"s{n}" for n in range(SAMPLES)]


def test_a_selection_grows_and_a_smaller_one_loses_nothing(
    asked: Callable[..., Done], server: FakeOpenAI, tmp_path: Path
) -> None:
    def told() -> tuple[int, int]:
        found = summary(tmp_path / "parts")
        return found["total"], found["resumed"]

    asked("output_dir=parts", "select.limit=5", *IN_PARTS)
    assert (ids(tmp_path / "parts"), told()) == ([f"s{n}" for n in range(5)], (5, 0))
    asked("output_dir=parts", "select.ids=[s3,s11,s30]", *IN_PARTS)
    assert [*map(int, (name[1:] for name in ids(tmp_path / "parts")))] == [0, 1, 2, 3, 4, 11, 30]
    assert told() == (7, 5)
    asked("output_dir=parts", *IN_PARTS)
    assert told() == (SAMPLES, 7)
    asked("output_dir=parts", "select.limit=6", *IN_PARTS)
    assert told() == (SAMPLES, SAMPLES)
    assert (len(server.requests), times_asked(server)) == (SAMPLES, {1})


def test_a_directory_goes_from_one_file_to_parts_and_back(
    asked: Callable[..., Done],
    server: FakeOpenAI,
    make_dataset: Callable[..., Path],
    tmp_path: Path,
) -> None:
    overrides = [f"dataset.path={make_dataset(SAMPLES)}", "output_dir=run"]
    server.behave = lambda _received, _nth: Reply(latency=0.03)
    killed_after(15, server, [*overrides, "runner.max_concurrency=3"], tmp_path)
    asked("output_dir=run", *IN_PARTS)  # goes on in parts
    assert ids(tmp_path / "run") == [f"s{n}" for n in range(SAMPLES)]
    assert len(server.requests) <= SAMPLES + 3

    sent = len(server.requests)
    dataset = make_dataset(SAMPLES) / "test.jsonl"
    text = dataset.read_text().replace("question 17", "question seventeen")
    dataset.write_text(text)  # what parts were cut of is no more
    asked("output_dir=run", "store.parts_above=1000")
    assert [received.question for received in server.requests[sent:]] == ["question seventeen"]
    assert not (tmp_path / "run" / "shards.json").exists()
    kept = (tmp_path / "run" / "superseded_results.jsonl").read_bytes()
    assert orjson.loads(kept)["sample_id"] == "s17"
    asked("output_dir=run", *IN_PARTS)
    assert len(server.requests) == sent + 1


@pytest.mark.parametrize("damage", ["marker", "part", "torn", "joined", "parts beside a copy"])
def test_what_is_damaged_is_asked_again_and_nothing_else(
    asked: Callable[..., Done], server: FakeOpenAI, tmp_path: Path, damage: str
) -> None:
    """Each kind of file, as a disk or a person may leave it."""
    asked("output_dir=run", "store.join_limit_gb=0", *IN_PARTS)
    run, owed = tmp_path / "run", 0
    parts = sorted((run / "parts").glob("*.jsonl"))
    if damage == "marker":
        sorted((run / "parts").glob("*.done.json"))[2].unlink()
    elif damage == "part":
        parts[2].unlink()
        owed = 7
    elif damage == "torn":
        parts[2].write_bytes(parts[2].read_bytes()[:-30])
        owed = 1
    elif damage == "joined":
        asked("output_dir=run", *IN_PARTS)
        (run / "joined.json").unlink()
    else:
        asked("output_dir=run", *IN_PARTS)
        shutil.copytree(run, tmp_path / "copy")
        shutil.rmtree(run)
        (tmp_path / "copy").rename(run)
    asked("output_dir=run", *IN_PARTS)
    assert len(server.requests) == SAMPLES + owed
    assert ids(run) == [f"s{n}" for n in range(SAMPLES)]


def test_python_gets_the_answers_of_earlier_commands_too(
    asked: Callable[..., Done],
    server: FakeOpenAI,
    make_dataset: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked("output_dir=run", "select.limit=9", *IN_PARTS)
    for name, value in server.env.items():
        monkeypatch.setenv(name, value)
    config = RunConfig(backend="openai", model="m")
    got = [each.sample_id for each in stream(make_dataset(SAMPLES), config, output_dir="run")]
    assert sorted(got) == sorted(f"s{n}" for n in range(SAMPLES))
    assert len(server.requests) == SAMPLES
