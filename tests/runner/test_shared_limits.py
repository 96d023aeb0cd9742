"""Runs in one process share the limits of an endpoint, model and key, and of nothing else."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from conftest import program, starts
from lm_eval_so import RunConfig, RunnerOptions, run_async
from lm_eval_so.runner.backends.openai.backend import OpenAIBackend
from lm_eval_so.runner.config.schema import RunPlan
from lm_eval_so.runner.strategy.rate_limit.build import limiter_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lm_eval_so.runner.strategy.rate_limit.limiter import RateLimiter
    from support.fake_openai import FakeOpenAI

COUNT = 20
OPTIONS = RunnerOptions(requests_per_minute=600, progress="none")  # 10 a second, 8 at once


def config_of(cell: dict[str, str], server: FakeOpenAI, **parameters: object) -> RunConfig:
    reached = {"base_url": server.base_url, "api_key": cell["key"]}
    return RunConfig(
        backend="openai", model=cell["model"], parameters=parameters, backend_options=reached
    )


def scope_of(cell: dict[str, str], server: FakeOpenAI) -> str:
    return OpenAIBackend(config_of(cell, server)).limit_scope


class StandingTime:
    """A clock that goes on by what is slept, and by nothing else."""

    def __init__(self) -> None:
        self.now = 1000.0

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


def seconds_for_two(
    first: dict[str, str], second: dict[str, str], dataset: Path, server: FakeOpenAI, out: Path
) -> float:
    """Two runs at once, that differ in model or key."""

    async def both() -> None:
        await asyncio.gather(
            *(
                run_async(
                    dataset,
                    config_of(cell, server, temperature=number),
                    options=OPTIONS,
                    output_dir=out / str(number),
                )
                for number, cell in enumerate((first, second))
            )
        )

    began = time.monotonic()
    asyncio.run(both())
    assert len(server.requests) == 2 * COUNT
    return time.monotonic() - began


def test_two_runs_on_one_endpoint_model_and_key_share(
    make_dataset: Callable[..., Path], server: FakeOpenAI, tmp_path: Path
) -> None:
    cell = {"model": "gpt-4o", "key": "one-key"}
    seconds = seconds_for_two(cell, cell, make_dataset(COUNT), server, tmp_path)
    assert seconds >= (2 * COUNT - 9) / 10


@pytest.mark.parametrize(
    "other",
    [{"model": "gpt-4o-mini", "key": "a-key"}, {"model": "gpt-4o", "key": "another-key"}],
    ids=["model", "key"],
)
def test_another_model_or_key_has_limits_of_its_own(
    other: dict[str, str],
    make_dataset: Callable[..., Path],
    server: FakeOpenAI,
    tmp_path: Path,
) -> None:
    cell = {"model": "gpt-4o", "key": "a-key"}
    assert scope_of(cell, server) == scope_of(dict(cell), server) != scope_of(other, server)
    seconds = seconds_for_two(cell, other, make_dataset(COUNT), server, tmp_path)
    assert seconds >= (COUNT - 9) / 10


def test_who_names_another_scope_never_waits_for_the_first() -> None:
    """On a clock that stands still but for what is waited."""
    time = StandingTime()
    one, same, other = (
        limiter_for(scope, OPTIONS, clock=time.clock, sleep=time.sleep) for scope in ("a", "a", "b")
    )

    async def turns(limiter: RateLimiter) -> float:
        began = time.now
        for _ in range(COUNT):
            await limiter.acquire(0.0)
        return time.now - began

    async def main() -> None:
        alone = await turns(one)
        assert alone >= (COUNT - 9) / 10
        assert await turns(same) >= COUNT / 10 * 0.99, "what may go at once has gone"
        assert await turns(other) == pytest.approx(alone)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("share", "beside_others", "alone"),
    [("auto", True, False), (True, True, True), (False, False, False)],
)
def test_an_option_says_who_shares(
    *, share: bool | str, beside_others: bool, alone: bool, tmp_path: Path
) -> None:
    plan = RunPlan(
        dataset={"path": tmp_path},
        run_config=RunConfig(backend="simulated", model="m"),
        options=RunnerOptions(share_limits=share),
        output_root=tmp_path,
    )
    assert bool(plan.limits_folder(parallel=True)) is beside_others
    assert bool(plan.limits_folder()) is alone


def test_commands_of_their_own_keep_one_limit(
    make_dataset: Callable[..., Path], server: FakeOpenAI, tmp_path: Path
) -> None:
    """As ``sbatch --array`` starts them."""
    words = [
        *(*program(), "backend=openai", "model=m", "dataset=path", "runner.share_limits=true"),
        *(f"dataset.path={make_dataset(COUNT)}", "runner.requests_per_minute=600"),
    ]
    commands = [
        subprocess.Popen([*words, f"params.seed={n}"], env={**os.environ, **server.env})
        for n in range(2)
    ]
    assert [command.wait(100) for command in commands] == [0, 0]
    assert list((tmp_path / "outputs" / ".limits").iterdir())
    assert len(server.requests) == 2 * COUNT
    times = starts(*tmp_path.rglob("run_results.jsonl"))
    assert len(times) == 2 * COUNT
    for n, first in enumerate(times):
        assert sum(first <= at < first + 1 for at in times[n:]) <= 10 + 8
