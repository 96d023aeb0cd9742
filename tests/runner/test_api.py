from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from contextlib import aclosing, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import orjson
import pytest

from conftest import rows
from lm_eval_so import (
    BackendError,
    ChatBackend,
    ChatResponse,
    LmEvalError,
    RunConfig,
    RunnerOptions,
    RunReport,
    RunRequest,
    RunResult,
    read_results,
    run,
    run_async,
    stream,
    stream_async,
)
from lm_eval_so.runner.errors import BackendFaultError, BackendUnusableError, StoreError
from support.patience import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    Make = Callable[..., Path]

CONFIG = RunConfig(backend="custom", model="m")
EIGHT = RunnerOptions(max_concurrency=8)  # so that little is under way when a run ends


class Parrot(ChatBackend):
    """What a user writes: repeats the last message."""

    def __init__(self, config: RunConfig = CONFIG) -> None:
        super().__init__(config)
        self.sent: list[str] = []
        self.most_tasks = 0

    async def send(self, request: RunRequest) -> ChatResponse:
        self.sent.append(request.sample_id)
        self.most_tasks = max(self.most_tasks, len(asyncio.all_tasks()))
        await self.think(request)
        return ChatResponse(text=str(request.messages[-1]["content"]))

    async def think(self, request: RunRequest) -> None:
        """What a test needs to happen."""


class Gated(Parrot):
    """Answers the first sample; the others wait until the gate is open."""

    async def __aenter__(self) -> Self:
        self.loop = asyncio.get_running_loop()
        self.gate = asyncio.Event()
        return self

    def open(self) -> None:
        self.loop.call_soon_threadsafe(self.gate.set)

    async def think(self, request: RunRequest) -> None:
        if request.sample_id != "s0":
            await self.gate.wait()


class Slow(Parrot):
    async def think(self, request: RunRequest) -> None:  # noqa: ARG002 - whatever it is
        await asyncio.sleep(0.02)


class Slower(Parrot):
    async def think(self, request: RunRequest) -> None:  # noqa: ARG002 - whatever it is
        await asyncio.sleep(0.02 if len(self.sent) <= 16 else 2)


def metadata(report_dir: Path) -> dict[str, Any]:
    return orjson.loads((report_dir / "run_metadata.json").read_bytes())


def test_a_backend_of_a_few_lines_answers_a_run(make_dataset: Make) -> None:
    report = run(make_dataset(20), CONFIG, backend=Parrot())
    assert (report.state, report.exit_code, report.fault) == ("complete", 0, None)
    results = list(report.results())
    assert [result.sample_id for result in results] == [f"s{n}" for n in range(20)]
    assert [result.response and result.response.text for result in results] == [
        f"question {n}" for n in range(20)
    ]
    assert list(read_results(report.run_dir)) == results
    assert report.summary is not None
    assert report.summary.status_counts == {"ok": 20}


def test_a_bad_sample_is_a_result_and_no_exception(make_dataset: Make) -> None:
    class Picky(Parrot):
        async def think(self, request: RunRequest) -> None:
            if request.sample_id == "s1":
                raise BackendError("I don't like it", details={"why": "mood"})

    report = run(make_dataset(3), CONFIG, backend=Picky())
    assert (report.state, report.exit_code) == ("complete", 1)
    errors = [result.error for result in report.results()]
    assert errors[0] is errors[2] is None
    assert errors[1] is not None
    assert (errors[1].message, errors[1].details) == ("I don't like it", {"why": "mood"})


def test_2000_samples_at_64_are_2000_lines_in_dataset_order(make_dataset: Make) -> None:
    options = {"latency_ms": 3, "latency_sigma": 1, "server_error": 0.02, "garbage": 0.02}
    config = RunConfig(backend="simulated", model="m", backend_options=options)
    how = RunnerOptions(max_concurrency=64, backoff_initial=0.01, max_retries=9)
    report = run(make_dataset(2000), config, options=how)
    lines = rows(report.results_path)
    assert [line["sample_id"] for line in lines] == [f"s{n}" for n in range(2000)]
    assert [line["response"]["text"] for line in lines] == [f"question {n}" for n in range(2000)]
    assert report.summary is not None
    assert report.summary.retries > 0
    assert report.summary.requests == report.summary.attempts == 2000 + report.summary.retries


@pytest.mark.parametrize("concurrency", [1, 5])
def test_there_is_no_task_per_sample(make_dataset: Make, concurrency: int) -> None:
    backend = Parrot()
    run(
        make_dataset(500),
        CONFIG,
        backend=backend,
        options=RunnerOptions(max_concurrency=concurrency),
    )
    assert len(backend.sent) == 500
    assert backend.most_tasks <= 2 * concurrency + 4


def test_the_same_call_asks_nothing_again(make_dataset: Make) -> None:
    first, second = Parrot(), Parrot()
    before = run(make_dataset(30), CONFIG, backend=first)
    after = run(make_dataset(30), CONFIG, backend=second)
    assert (len(first.sent), second.sent) == (30, [])
    assert after.run_dir == before.run_dir
    assert after.summary is not None
    assert after.summary.resumed == 30


def test_a_fault_that_one_sample_causes_is_its_error(make_dataset: Make, tmp_path: Path) -> None:
    class Buggy(Slow):
        async def think(self, request: RunRequest) -> None:
            if request.sample_id in ("s0", "s50"):
                raise ValueError("a bug")
            await super().think(request)

    report = run(make_dataset(100), CONFIG, options=EIGHT, backend=Buggy(), output_dir="run")
    assert (report.state, report.exit_code) == ("complete", 1)
    failed = {result.sample_id: result.error for result in report.results() if result.error}
    assert list(failed) == ["s0", "s50"]
    error = failed["s50"]
    assert (error.error_type, error.retryable) == ("BackendFaultError", False)
    assert error.message.startswith("the backend broke: ValueError: a bug (")
    log = (tmp_path / "run" / "run.log").read_text()
    assert log.count("Traceback") == 1, "of each kind, once"
    again = Parrot()
    assert run(make_dataset(100), CONFIG, backend=again, output_dir="run").exit_code == 0
    assert sorted(again.sent) == ["s0", "s50"]


def test_a_fault_that_all_samples_meet_stops_the_run(make_dataset: Make) -> None:
    class Buggy(Parrot):
        async def think(self, request: RunRequest) -> None:
            raise ValueError(f"a bug in {request.sample_id}")

    backend = Buggy()
    with pytest.raises(
        BackendUnusableError, match="the backend broke: ValueError: a bug"
    ) as raised:
        run(make_dataset(500), CONFIG, options=EIGHT, backend=backend, output_dir="run")
    fault = raised.value.__cause__
    assert isinstance(fault, BackendFaultError)
    assert isinstance(fault.__cause__, ValueError)
    assert len(backend.sent) < 40
    assert not rows(Path("run/run_results.jsonl"))


@pytest.mark.parametrize(
    ("raised", "kind", "attempts"),
    [
        (TimeoutError(), "APITimeoutError", 2),
        (ConnectionResetError("gone"), "APIConnectionError", 2),
        (RecursionError("deep"), "BackendFaultError", 1),
        (ExceptionGroup("several", [KeyError("k")]), "BackendFaultError", 1),
    ],
    ids=repr,
)
def test_what_may_pass_is_tried_again_and_a_bug_is_not(
    raised: Exception, kind: str, attempts: int, make_dataset: Make
) -> None:
    class Failing(Parrot):
        async def think(self, request: RunRequest) -> None:
            if request.sample_id == "s5":
                raise raised

    how = RunnerOptions(max_retries=1, backoff_initial=0.001)
    report = run(make_dataset(9), CONFIG, options=how, backend=Failing(), output_dir="run")
    (failed,) = [result for result in report.results() if result.error]
    assert failed.error is not None
    assert (failed.sample_id, failed.error.error_type, failed.attempts) == ("s5", kind, attempts)


def test_an_answer_that_is_none_is_the_error_of_its_sample(make_dataset: Make) -> None:
    class Silent(Parrot):
        async def send(self, request: RunRequest) -> ChatResponse:
            found = await super().send(request)
            return None if request.sample_id == "s3" else found  # type: ignore[return-value]

    report = run(make_dataset(9), CONFIG, backend=Silent(), output_dir="run")
    (failed,) = [result for result in report.results() if result.error]
    assert failed.error is not None
    assert failed.error.message == "the backend's send returned NoneType, and no ChatResponse"


def test_what_cannot_be_run_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(LmEvalError, match="does not exist"):
        run(tmp_path / "missing", CONFIG, backend=Parrot())
    with pytest.raises(LmEvalError, match="unknown backend 'custom'"):
        run(tmp_path / "missing", CONFIG)


def test_run_async_runs_within_a_loop(make_dataset: Make) -> None:
    async def main() -> list[RunReport]:
        folders = [make_dataset(10, "one"), make_dataset(10, "two")]
        runs = [run_async(folder, CONFIG, backend=Slow()) for folder in folders]
        return await asyncio.gather(*runs)

    reports = asyncio.run(main())
    assert [report.state for report in reports] == ["complete", "complete"]
    assert len({report.run_dir for report in reports}) == 2


def test_a_cancelled_run_async_keeps_what_was_received(make_dataset: Make, tmp_path: Path) -> None:
    async def main() -> None:
        backend = Gated()
        task = asyncio.ensure_future(
            run_async(make_dataset(50), CONFIG, backend=backend, output_dir=tmp_path / "run")
        )
        while len(backend.sent) < 9:
            await asyncio.sleep(0.005)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert [line["sample_id"] for line in rows(tmp_path / "run" / "run_results.jsonl")] == ["s0"]
    assert metadata(tmp_path / "run")["state"] == "partial"


def test_stream_yields_a_result_before_the_run_is_over(make_dataset: Make) -> None:
    backend = Gated()
    results = stream(make_dataset(20), CONFIG, backend=backend)
    first = next(results)
    assert first.sample_id == "s0"
    assert len(backend.sent) <= 9
    backend.open()
    assert len(list(results)) == 19


def test_stream_async_yields_a_result_before_the_run_is_over(make_dataset: Make) -> None:
    async def main() -> list[RunResult]:
        backend, found = Gated(), []
        async for result in stream_async(make_dataset(20), CONFIG, backend=backend):
            found.append(result)
            if len(found) == 1:
                assert result.sample_id == "s0"
                backend.gate.set()
        return found

    assert len(asyncio.run(main())) == 20


def left_early(backend: Parrot, folder: Path, output: Path, *, asynchronous: bool) -> int:
    """Reads five results and leaves."""
    found = 0

    async def main() -> None:
        nonlocal found
        results = stream_async(folder, CONFIG, options=EIGHT, backend=backend, output_dir=output)
        async with aclosing(results):
            async for _ in results:
                found += 1
                if found == 5:
                    break

    if asynchronous:
        asyncio.run(main())
        return found
    streamed = stream(folder, CONFIG, options=EIGHT, backend=backend, output_dir=output)
    with closing(streamed) as results:  # type: ignore[type-var]
        for _ in results:
            found += 1
            if found == 5:
                break
    return found


@pytest.mark.parametrize("asynchronous", [True, False], ids=["async", "plain"])
def test_leaving_a_stream_ends_the_run_and_keeps_what_was_received(
    make_dataset: Make, tmp_path: Path, *, asynchronous: bool
) -> None:
    backend = Slower()
    output = tmp_path / "run"
    assert left_early(backend, make_dataset(1000), output, asynchronous=asynchronous) == 5
    kept = [line["sample_id"] for line in rows(output / "run_results.jsonl")]
    assert 5 <= len(kept) < 100
    assert sorted(kept) == sorted(backend.sent), "nothing that was paid for is lost"
    assert metadata(output)["state"] == "partial"
    again = Parrot()
    assert run(make_dataset(1000), CONFIG, backend=again, output_dir=output).state == "complete"
    assert len(again.sent) == 1000 - len(kept)


def test_a_stream_yields_the_results_of_an_earlier_run_too(make_dataset: Make) -> None:
    first = {
        result.sample_id: result for result in stream(make_dataset(30), CONFIG, backend=Parrot())
    }
    backend = Parrot()
    again = list(stream(make_dataset(30, s7="changed"), CONFIG, backend=backend))
    assert backend.sent == ["s7"]
    assert len(again) == 30
    assert all(result == first[result.sample_id] for result in again if result.sample_id != "s7")


def test_a_reader_that_falls_behind_slows_the_run(make_dataset: Make) -> None:
    async def main() -> int:
        backend = Parrot()
        how = RunnerOptions(max_concurrency=8)
        results = stream_async(make_dataset(4000), CONFIG, backend=backend, options=how)
        async with aclosing(results):
            await anext(results)
            for _ in range(200):
                await asyncio.sleep(0.001)
            return len(backend.sent)

    assert asyncio.run(main()) <= 1024 + 30, "what may be read ahead, and a result of each worker"


@pytest.mark.parametrize("asynchronous", [True, False], ids=["async", "plain"])
def test_a_fault_is_raised_out_of_a_stream(make_dataset: Make, *, asynchronous: bool) -> None:
    class Buggy(Parrot):
        async def think(self, request: RunRequest) -> None:
            if int(request.sample_id[1:]) >= 30:
                raise StoreError("a disk is full")

    found = []

    async def main() -> None:
        async for result in stream_async(make_dataset(100), CONFIG, backend=Buggy()):
            found.append(result)  # noqa: PERF401 - what came before the fault counts

    with pytest.raises(StoreError, match="a disk is full"):
        if asynchronous:
            asyncio.run(main())
        else:
            found.extend(iter(stream(make_dataset(100), CONFIG, backend=Buggy())))
    assert not asynchronous or 20 < len(found) < 60


CTRL_C = """
import sys
from lm_eval_so import RunConfig, RunnerOptions, run
sys.path[:0] = sys.argv[2:]
from test_api import CONFIG, Parrot
import asyncio
from pathlib import Path

class Waits(Parrot):
    async def think(self, request):
        if len(self.sent) == 10:
            Path("ten").touch()
        while len(self.sent) > 5 and not Path("go").exists():
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.4)

backend = Waits()
try:
    five = RunnerOptions(max_concurrency=5)
    run(sys.argv[1], CONFIG, backend=backend, output_dir="run", options=five)
except KeyboardInterrupt:
    print("interrupted", len(backend.sent))
"""


def test_ctrl_c_is_a_keyboard_interrupt_once_what_was_in_flight_is_written(
    make_dataset: Make, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    paths = [str(request.path.parent), str(request.path.parents[1])]
    process = subprocess.Popen(
        [sys.executable, "-c", CTRL_C, str(make_dataset(200)), *paths],
        stdout=subprocess.PIPE,
        text=True,
    )
    results = tmp_path / "run" / "run_results.jsonl"
    wait_for((tmp_path / "ten").exists)
    process.send_signal(signal.SIGINT)
    (tmp_path / "go").touch()
    said, _ = process.communicate(timeout=20)
    word, sent = said.split()
    assert word == "interrupted"
    assert 5 < int(sent) <= 15
    assert len(rows(results)) == int(sent)
    assert metadata(tmp_path / "run")["state"] == "partial"
