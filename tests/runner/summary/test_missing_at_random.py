"""How often the sentence comes, over 100 runs of the simulated backend."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from lm_eval_so.runner.backends.simulated import SimulatedBackend
from lm_eval_so.runner.errors import BackendError
from lm_eval_so.runner.models import RunConfig, TestSample
from lm_eval_so.runner.summary.missing import Missing
from support.requests import request_of

SEEDS = 100
SAMPLES = 1000


@pytest.fixture(scope="module")
def samples() -> list[TestSample]:
    """A quarter has the tag ko; other tags, and the lengths, have nothing to do with it."""
    chance = random.Random(0)
    subjects = ["math", "code", "law", "history"]
    return [
        TestSample.model_validate(
            {
                "id": f"s{number}",
                "messages": [{"role": "user", "content": "x" * int(chance.lognormvariate(6, 1))}],
                "tags": [
                    *(["ko"] if number in quarter else []),
                    chance.choice(subjects),
                    *(["hard"] if chance.random() < 0.3 else []),
                ],
            }
        )
        for quarter in [set(chance.sample(range(SAMPLES), SAMPLES // 4))]
        for number in range(SAMPLES)
    ]


async def no_time(_: float) -> None:
    """Latency takes none."""


async def told(samples: list[TestSample], seed: int, **options: Any) -> list[str]:  # noqa: ANN401
    """What is said after a run in which each sample is asked once."""
    backend_options = {"seed": seed, "latency_ms": 0, "answer": "fixed", **options}
    config = RunConfig(backend="simulated", model="m", backend_options=backend_options)
    backend = SimulatedBackend(config, sleep=no_time)
    missing = Missing()
    for index, sample in enumerate(samples):
        line: dict[str, Any] = {
            "request_messages": sample.messages,
            "request_context": {"sample_tags": sample.tags},
            "response": None,
        }
        truncated = False
        try:
            answer = await backend.send(request_of(sample, index, config, "key", "trace"))
            line["response"] = {"text": answer.text}
            truncated = answer.finish_reason == "length"
        except BackendError:
            pass
        missing.add(index, line, truncated=truncated)
    return missing.sentences()


async def told_in_all(samples: list[TestSample], **options: Any) -> list[list[str]]:  # noqa: ANN401
    return [await told(samples, seed, **options) for seed in range(SEEDS)]


@pytest.mark.parametrize(
    ("mishap", "words"), [("server_error", "failures are"), ("truncated", "truncated answers are")]
)
def test_a_tag_that_is_missing_three_times_as_often_is_named(
    samples: list[TestSample], mishap: str, words: str
) -> None:
    runs = asyncio.run(told_in_all(samples, **{mishap: 0.05}, by_tag={"ko": {mishap: 0.15}}))
    named = [run for run in runs if len(run) == 1 and run[0].startswith(words)]
    assert sum("among tag ko: " in run[0] for run in named) >= 95


def test_samples_that_are_missing_at_random_are_not_spoken_of(samples: list[TestSample]) -> None:
    runs = asyncio.run(told_in_all(samples, server_error=0.05, truncated=0.05))
    assert sum(bool(run) for run in runs) <= 5
