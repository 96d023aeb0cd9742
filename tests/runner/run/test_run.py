"""A run whose backend or disk does odd things between its opening and its report."""

from __future__ import annotations

import asyncio
import json
import os
from typing import TYPE_CHECKING, Any, Self

import pytest

from conftest import rows
from lm_eval_so import ChatBackend, ChatResponse, RunConfig, RunReport
from lm_eval_so.runner.config.schema import DatasetConfig, RunPlan
from lm_eval_so.runner.errors import BackendUnusableError
from lm_eval_so.runner.run.prepare import prepare
from lm_eval_so.runner.run.run import Run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lm_eval_so import RunRequest

CONFIG = RunConfig(backend="python", model="m")


class OpenedOnce(ChatBackend):
    """Cannot be opened a second time, as a client that is made in ``__init__``."""

    def __init__(self) -> None:
        super().__init__(CONFIG)
        self.asked: list[str] = []
        self.opened = 0
        self.closed = False
        self.while_opening: Callable[[], object] = lambda: None
        self.meanwhile: Callable[[int], object] = lambda _: None

    async def __aenter__(self) -> Self:
        self.opened += 1
        assert not self.closed
        self.while_opening()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.closed = True

    async def send(self, request: RunRequest) -> ChatResponse:
        self.asked.append(request.sample_id)
        await asyncio.sleep(0)
        self.meanwhile(len(self.asked))
        return ChatResponse(text="fine")


@pytest.fixture
def backend() -> OpenedOnce:
    return OpenedOnce()


@pytest.fixture
def opened(
    make_dataset: Callable[..., Path], backend: OpenedOnce, tmp_path: Path
) -> Callable[[int], Run]:
    def make(count: int) -> Run:
        dataset = DatasetConfig(path=make_dataset(count))
        plan = RunPlan(dataset=dataset, run_config=CONFIG, output_dir=tmp_path / "run")
        return Run(prepare(plan, backend))

    return make


def go(run: Run) -> RunReport:
    with run:
        return asyncio.run(run.carry_out())


def test_a_stop_while_the_backend_opens_sends_nothing(
    opened: Callable[[int], Run], backend: OpenedOnce
) -> None:
    run = opened(5)
    backend.while_opening = lambda: run.stop.request(KeyboardInterrupt())
    report = go(run)
    assert backend.asked == []
    assert report.summary is not None
    assert report.summary.status_counts == {"owed": 5}


def test_a_backend_is_opened_once_whatever_the_disk_loses(
    opened: Callable[[int], Run], backend: OpenedOnce
) -> None:
    run = opened(30)
    results = run.directory.results_path
    backend.meanwhile = lambda asked: os.truncate(results, 0) if asked == 25 else None
    report = go(run)
    assert (report.exit_code, backend.opened, backend.closed) == (0, 1, True)
    assert [row["sample_id"] for row in rows(results)] == [f"s{n}" for n in range(30)]


def test_a_stop_after_lost_lines_keeps_every_whole_answer(
    opened: Callable[[int], Run], backend: OpenedOnce, tmp_path: Path
) -> None:
    run = opened(300)
    results = run.directory.results_path

    def harm(asked: int) -> None:
        if asked == 290:
            lines = results.read_bytes().splitlines(keepends=True)
            os.truncate(results, len(b"".join(lines[:250])))
        if asked > 300:
            run.stop.request(KeyboardInterrupt())

    backend.meanwhile = harm
    report = go(run)
    assert report.summary is not None
    assert report.summary.status_counts["ok"] >= 250
    assert len(rows(results)) >= 250
    assert not (tmp_path / "run" / "superseded_results.jsonl").exists()


@pytest.mark.parametrize(
    "findings",
    [
        pytest.param({"concurrency": "many"}, id="wrong-type"),
        pytest.param({"state": "complete", "schema_version": 9}, id="names-of-ours"),
        pytest.param({"own": object(), "nan": float("nan"), "half": "\ud800"}, id="no-json"),
    ],
)
def test_what_an_engine_finds_out_cannot_spoil_the_report(
    opened: Callable[[int], Run], findings: dict[str, Any]
) -> None:
    class Odd:
        def __init__(self, engine: Any) -> None:  # noqa: ANN401 - any engine
            self._engine = engine
            self.run, self.live = engine.run, engine.live

        async def __aenter__(self) -> Self:
            await self._engine.__aenter__()
            return self

        async def __aexit__(self, *_: object) -> None:
            await self._engine.__aexit__(None, None, None)

        def findings(self) -> dict[str, Any]:
            return findings

    run = opened(3)
    run._engine = Odd(run._engine)
    report = go(run)
    metadata = json.loads(report.metadata_path.read_text())
    assert (metadata["state"], metadata["schema_version"], report.exit_code) == ("complete", 1, 0)


def test_the_reason_of_a_stop_holds_no_secret(
    opened: Callable[[int], Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-0123456789abcdef")
    run = opened(1)
    run.stop.request(BackendUnusableError("no such key: sk-0123456789abcdef"))
    assert "sk-0123456789abcdef" not in str(run.stop.reason)
