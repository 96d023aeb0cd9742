"""What a run promises, it keeps with each kind of backend: the table is `support.answerers`."""

from __future__ import annotations

import subprocess
from collections import Counter
from contextlib import ExitStack
from datetime import datetime
from typing import TYPE_CHECKING

import orjson
import pytest

from conftest import program, rows
from support.answerer import SECRET, Answerer, Behaviour
from support.answerers import ANSWERERS, environment
from support.fake_openai import echo
from support.patience import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Start = Callable[[Behaviour], Answerer]

CONCURRENCY = 8


@pytest.fixture(params=ANSWERERS)
def start(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Start]:
    """Starts what answers, by how it behaves."""
    folder = tmp_path / "answers"
    folder.mkdir()
    with ExitStack() as stack:
        make = ANSWERERS[request.param]
        yield lambda behaviour: stack.enter_context(make(folder, behaviour))


@pytest.fixture
def arguments(make_dataset: Callable[..., Path]) -> Callable[..., list[str]]:
    """The words of a command, on so many samples."""

    def of(answerer: Answerer, samples: int, *more: str) -> list[str]:
        common = ["output_dir=run", f"runner.max_concurrency={CONCURRENCY}"]
        dataset = f"dataset.path={make_dataset(samples)}"
        return [*program(), *answerer.arguments, dataset, *common, *more]

    return of


def carried_out(
    words: list[str], answerer: Answerer, folder: Path
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words,
        env=environment(answerer),
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


def test_after_a_kill_the_same_command_asks_nothing_that_was_answered(
    start: Start, arguments: Callable[..., list[str]], tmp_path: Path
) -> None:
    answerer, count = start("echoes"), 150
    words, results = arguments(answerer, count), tmp_path / "run" / "run_results.jsonl"
    process = subprocess.Popen(
        [*words, "runner.rate_limit=15"],  # there is time to kill it
        env=environment(answerer),
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_for(lambda: len(answerer.asked()) >= 40)
    process.kill()
    process.wait()
    kept = len(results.read_bytes().splitlines())
    assert 0 < kept < count
    done = carried_out(words, answerer, tmp_path)
    assert done.returncode == 0, done.stderr
    asked = Counter(answerer.asked())
    assert len(asked) == count
    assert asked.total() - count <= CONCURRENCY, "those in flight"
    lines = rows(results)
    texts = [line["response"]["text"] for line in lines]
    assert texts == [echo(f"question {n}") for n in range(count)]
    again = carried_out(words, answerer, tmp_path)
    assert again.returncode == 0, again.stderr
    assert len(answerer.asked()) == asked.total(), "all is answered"


def test_a_rate_is_kept(start: Start, arguments: Callable[..., list[str]], tmp_path: Path) -> None:
    answerer, rate, count = start("echoes"), 20, 20
    words = arguments(answerer, count, f"runner.rate_limit={rate}")
    done = carried_out(words, answerer, tmp_path)
    assert done.returncode == 0, done.stderr
    lines = rows(tmp_path / "run" / "run_results.jsonl")
    left = sorted(datetime.fromisoformat(line["started_at"]) for line in lines)
    assert (left[-1] - left[0]).total_seconds() >= 0.9 * (count - 1) / rate
    assert len(answerer.asked()) == count


def test_a_budget_in_requests_holds(
    start: Start, arguments: Callable[..., list[str]], tmp_path: Path
) -> None:
    answerer = start("echoes")
    done = carried_out(arguments(answerer, 40, "runner.budget.requests=15"), answerer, tmp_path)
    assert done.returncode == 2, done.stderr
    assert len(answerer.asked()) == 15
    assert orjson.loads((tmp_path / "run/run_metadata.json").read_bytes())["state"] == "partial"


@pytest.mark.parametrize("behaviour", ["tells", "refuses"])
def test_a_key_is_nowhere(
    start: Start, arguments: Callable[..., list[str]], tmp_path: Path, behaviour: Behaviour
) -> None:
    answerer = start(behaviour)
    words = arguments(answerer, 3, "runner.log_level=DEBUG")
    done = carried_out(words, answerer, tmp_path)
    assert answerer.asked()
    assert SECRET not in done.stdout + done.stderr
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.name == "run_results.jsonl" for path in written)
    assert [path for path in written if SECRET.encode() in path.read_bytes()] == []


def test_a_refusal_of_all_ends_the_run_soon(
    start: Start, arguments: Callable[..., list[str]], tmp_path: Path
) -> None:
    answerer, count = start("refuses"), 200
    done = carried_out(arguments(answerer, count), answerer, tmp_path)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "the key is wrong" in done.stderr
    assert len(answerer.asked()) < count / 2
    metadata = orjson.loads((tmp_path / "run/run_metadata.json").read_bytes())
    assert metadata["state"] == "aborted"
