"""A part of a dataset first, and the whole later: real processes against a real server."""

from __future__ import annotations

import os
import subprocess
from collections import Counter
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from conftest import program, rows
from lm_eval_so import RunConfig, RunReport, SelectConfig, run, stream
from lm_eval_so.runner.store.metadata import read_metadata
from lm_eval_so.runner.store.run_metadata import SelectionRecord
from lm_eval_so.runner.sweep.rows import read_row
from support.fake_openai import FakeOpenAI, Received, Reply
from support.patience import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

OpenAI = ["backend=openai", "model=m", "dataset=path"]


@pytest.fixture
def asked(
    command: Callable[..., subprocess.CompletedProcess[str]],
    make_dataset: Callable[..., Path],
    server: FakeOpenAI,
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs 40 samples with more overrides; the exit code is 0."""
    dataset = make_dataset(40)

    def asked(*more: str) -> subprocess.CompletedProcess[str]:
        done = command(*OpenAI, f"dataset.path={dataset}", *more, env=server.env)
        assert done.returncode == 0, done.stderr
        return done

    return asked


@pytest.fixture
def directory(tmp_path: Path) -> Callable[[], Path]:
    """The one run directory that there is."""

    def directory() -> Path:
        (found,) = (tmp_path / "outputs" / "numbers").glob("openai_*")
        return found

    return directory


def ids(directory: Path) -> list[str]:
    return [line["sample_id"] for line in rows(directory / "run_results.jsonl")]


def metadata(directory: Path) -> dict[str, Any]:
    return orjson.loads((directory / "run_metadata.json").read_bytes())


def times_asked(server: FakeOpenAI) -> set[int]:
    return set(Counter(received.question for received in server.requests).values())


def test_a_pilot_grows_into_the_whole_in_its_directory_and_no_question_is_asked_twice(
    asked: Callable[..., subprocess.CompletedProcess[str]],
    directory: Callable[[], Path],
    server: FakeOpenAI,
) -> None:
    pilot = asked("select.limit=5")
    assert ids(directory()) == [f"s{n}" for n in range(5)]
    assert "selected  5 of 40 samples" in pilot.stdout
    assert ": 5 of 40 samples" in pilot.stderr
    wrote = metadata(directory())
    assert wrote["selection"] == {"asked": {"limit": 5}, "selected": 5, "of": 40}
    assert (wrote["summary"]["total"], wrote["summary"]["status_counts"]) == (5, {"ok": 5})
    assert wrote["dataset"]["sample_count"] == 40

    more = asked("select.sample=9")
    assert 9 <= len(server.requests) <= 14
    assert metadata(directory())["summary"]["total"] == len(server.requests)
    assert "9 of 40 samples" in more.stderr

    whole = asked()
    assert ids(directory()) == [f"s{n}" for n in range(40)]
    assert (len(server.requests), times_asked(server)) == (40, {1})
    assert "selected" not in whole.stdout
    wrote = metadata(directory())
    assert wrote["selection"] == {"asked": {}, "selected": 40, "of": 40}
    assert wrote["summary"]["total"] == 40


def test_a_selection_after_the_whole_loses_nothing_and_asks_nothing(
    asked: Callable[..., subprocess.CompletedProcess[str]],
    directory: Callable[[], Path],
    server: FakeOpenAI,
) -> None:
    asked()
    before = (directory() / "run_results.jsonl").read_bytes()
    asked("select.limit=5")
    assert (directory() / "run_results.jsonl").read_bytes() == before
    assert not (directory() / "superseded_results.jsonl").exists()
    assert len(server.requests) == 40
    summary = metadata(directory())["summary"]
    assert (summary["total"], summary["resumed"], summary["requests"]) == (40, 40, 0)


def test_a_pilot_that_is_killed_goes_on_as_the_whole(
    asked: Callable[..., subprocess.CompletedProcess[str]],
    directory: Callable[[], Path],
    make_dataset: Callable[..., Path],
    server: FakeOpenAI,
    tmp_path: Path,
) -> None:
    server.behave = lambda _received, _nth: Reply(hang=len(server.requests) > 8)
    pilot = [*OpenAI, f"dataset.path={make_dataset(40)}", "select.sample=20", "select.seed=3"]
    process = subprocess.Popen(
        [*program(), *pilot, "runner.max_concurrency=2"],
        env={**os.environ, **server.env},
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_for(lambda: len(server.requests) == 10)
    process.kill()
    process.wait()
    server.behave = lambda _received, _nth: Reply()
    row = read_row(directory(), {})
    assert (row.state, row.ok, row.owed) == ("running", len(ids(directory())), 20 - (row.ok or 0))

    asked()
    assert ids(directory()) == [f"s{n}" for n in range(40)]
    assert len(server.requests) <= 40 + 2, "no more than what was in flight is sent again"


def test_three_shards_in_three_directories_have_each_sample_once(
    asked: Callable[..., subprocess.CompletedProcess[str]], server: FakeOpenAI, tmp_path: Path
) -> None:
    for number in (1, 2, 3):
        asked(f"select.shard={number}/3", f"output_dir=shard{number}")
    together = [sample for number in (1, 2, 3) for sample in ids(tmp_path / f"shard{number}")]
    assert sorted(together) == sorted(f"s{n}" for n in range(40))
    assert times_asked(server) == {1}


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("select.ids=[s7,s3]", "s3 s7"),
        ("select.where=id in ['s3', 's12'] and messages[0].content == 'question 12'", "s12"),
        ("select.where=\"id == 's3'\"", "s3"),
        (r"select.where=id == 's\x33' or id == '\\'", "s3"),
        ("select.where='s4'==id", "s4"),
        ("select.ids=ids.txt", "s1 s2"),
    ],
)
def test_a_selection_is_typed_as_it_is_meant(
    asked: Callable[..., subprocess.CompletedProcess[str]],
    directory: Callable[[], Path],
    tmp_path: Path,
    override: str,
    expected: str,
) -> None:
    (tmp_path / "ids.txt").write_text("s2\ns1\n")
    asked(override)
    assert ids(directory()) == expected.split()


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("limit=5", "unknown key 'limit'; did you mean 'select.limit'?"),
        ("select.tags=[none]", "nothing is selected: none of the 40 samples is kept by"),
        ("select.ids=[s1,nobody]", "1 of 2 ids are not in the dataset: 'nobody'"),
        ("select.where=id ==", "select.where is not a valid expression"),
        ("select.shard=4/3", "select.shard: must be i/n, from 1/n to n/n, got '4/3'"),
        ("select.limit=0", "select.limit must be at least 1, got 0"),
    ],
)
def test_a_selection_that_cannot_be_made_sends_nothing(
    command: Callable[..., subprocess.CompletedProcess[str]],
    make_dataset: Callable[..., Path],
    server: FakeOpenAI,
    override: str,
    sentence: str,
) -> None:
    done = command(*OpenAI, f"dataset.path={make_dataset(40)}", override, env=server.env)
    assert (done.returncode, server.requests) == (2, [])
    assert sentence in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_more_than_there_is_is_told_and_asks_all(
    asked: Callable[..., subprocess.CompletedProcess[str]], server: FakeOpenAI
) -> None:
    done = asked("select.sample=99")
    assert "select.sample=99, but there are only 40: all are asked" in done.stderr
    assert len(server.requests) == 40


def test_flags_select_too(
    command: Callable[..., subprocess.CompletedProcess[str]],
    make_dataset: Callable[..., Path],
    server: FakeOpenAI,
    tmp_path: Path,
) -> None:
    flags = ["--backend", "openai", "--model", "m", "--dataset", str(make_dataset(40))]
    drawn = {}
    for name, more in {
        "limit": ["--limit", "3"],
        "sample": ["--sample", "5"],
        "seed": ["--sample", "5", "--select-seed", "7"],
    }.items():
        done = command(*flags, "--output-dir", name, *more, module="cli", env=server.env)
        assert done.returncode == 0, done.stderr
        drawn[name] = ids(tmp_path / name)
    assert drawn["limit"] == ["s0", "s1", "s2"]
    assert len(drawn["sample"]) == len(drawn["seed"]) == 5
    assert drawn["sample"] != drawn["seed"]


@pytest.fixture
def ask(
    make_dataset: Callable[..., Path], server: FakeOpenAI, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., RunReport]:
    for name, value in server.env.items():
        monkeypatch.setenv(name, value)

    def ask(repeats: int = 1, **keys: Any) -> RunReport:  # noqa: ANN401 - those of SelectConfig
        config = RunConfig(backend="openai", model="m")
        return run(make_dataset(10), config, repeats=repeats, select=SelectConfig(**keys))

    return ask


def test_a_failure_that_is_not_selected_keeps_its_line_and_is_not_tried_again(
    ask: Callable[..., RunReport], server: FakeOpenAI
) -> None:
    def picky(received: Received, _nth: int) -> Reply:
        return Reply(status=400) if received.question in {"question 2", "question 8"} else Reply()

    server.behave = picky
    ask()
    server.behave = lambda _received, _nth: Reply()
    report = ask(ids=["s2", "s3"])
    assert len(server.requests) == 11
    assert ids(report.run_dir) == [f"s{n}" for n in range(10)]
    assert report.summary is not None
    assert report.summary.status_counts == {"ok": 9, "error": 1}
    assert (report.summary.total, report.exit_code) == (10, 1)


def test_each_selected_sample_is_asked_as_often_as_it_repeats(
    ask: Callable[..., RunReport], server: FakeOpenAI
) -> None:
    report = ask(repeats=3, ids=["s2", "s7"])
    assert ids(report.run_dir) == ["s2"] * 3 + ["s7"] * 3
    assert report.selection == SelectionRecord(asked={"ids": ["s2", "s7"]}, selected=2, of=10)
    wrote = read_metadata(report.run_dir)
    assert wrote is not None
    assert wrote.asked == 6
    whole = ask(repeats=3)
    assert len(server.requests) == 30
    assert whole.summary is not None
    assert (whole.summary.total, whole.summary.resumed) == (30, 6)


def test_one_selection_after_another_adds_up_in_dataset_order(
    ask: Callable[..., RunReport], server: FakeOpenAI
) -> None:
    for chosen in (["s7", "s9"], ["s1"], ["s7", "s4"]):
        report = ask(ids=chosen)
    assert ids(report.run_dir) == ["s1", "s4", "s7", "s9"]
    assert len(server.requests) == 4
    assert report.summary is not None
    assert (report.summary.total, report.summary.resumed) == (4, 3)


def test_a_stream_yields_what_is_selected(
    ask: Callable[..., RunReport], make_dataset: Callable[..., Path]
) -> None:
    ask()
    select = SelectConfig(ids=["s2", "s7"])
    results = stream(make_dataset(10), RunConfig(backend="openai", model="m"), select=select)
    assert sorted(result.sample_id for result in results) == ["s2", "s7"]


def test_many_ids_are_recorded_by_their_number(
    make_dataset: Callable[..., Path],
) -> None:
    config = RunConfig(backend="simulated", model="m", backend_options={"latency_ms": 1})
    select = SelectConfig(ids=[f"s{n}" for n in range(150)])
    report = run(make_dataset(200), config, select=select)
    assert report.selection == SelectionRecord(asked={"ids": "150 ids"}, selected=150, of=200)


def test_the_cells_of_a_sweep_owe_what_is_selected(
    command: Callable[..., subprocess.CompletedProcess[str]],
    make_dataset: Callable[..., Path],
    server: FakeOpenAI,
    tmp_path: Path,
) -> None:
    sweep = ["-m", *OpenAI, "model=a,b", f"dataset.path={make_dataset(40)}", "sweep_name=s"]
    for more, ok in ((["select.limit=2"], 2), ([], 40)):
        done = command(*sweep, *more, env=server.env)
        assert done.returncode == 0, done.stderr
        record = orjson.loads((tmp_path / "outputs/numbers/sweeps/s/sweep.json").read_bytes())
        assert [(cell["ok"], cell["owed"]) for cell in record["cells"]] == [(ok, 0)] * 2
    assert len(server.requests) == 80
