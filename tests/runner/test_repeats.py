"""Each sample several times, each time a question of its own."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from lm_eval_so import RunConfig, RunReport, run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.fake_openai import FakeOpenAI


@pytest.fixture
def ask(
    make_dataset: Callable[..., Path], server: FakeOpenAI, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., RunReport]:
    for name, value in server.env.items():
        monkeypatch.setenv(name, value)

    def ask(repeats: int, samples: int = 3, **parameters: Any) -> RunReport:  # noqa: ANN401
        config = RunConfig(backend="openai", model="m", parameters=parameters)
        return run(make_dataset(samples), config, repeats=repeats)

    return ask


def test_each_sample_is_asked_so_many_times_and_its_results_stand_together(
    ask: Callable[..., RunReport], server: FakeOpenAI
) -> None:
    results = list(ask(3).results())
    assert len(server.requests) == 9
    asked = [(result.sample_id, result.repeat) for result in results]
    assert asked == [(f"s{n}", repeat) for n in range(3) for repeat in range(3)]
    assert len({result.request_key for result in results}) == 9
    for result in results:
        assert result.trace_id.startswith(f"lm-eval-so-{result.sample_id}-r{result.repeat}-")


def test_more_repeats_ask_only_for_what_is_new(
    ask: Callable[..., RunReport], server: FakeOpenAI
) -> None:
    first = ask(1)
    more = ask(4)
    assert more.run_dir == first.run_dir
    assert len(server.requests) == 12
    assert more.summary is not None
    assert (more.summary.total, more.summary.resumed) == (12, 3)
    ask(4)
    assert len(server.requests) == 12


def test_a_seed_is_counted_up_and_recorded(
    ask: Callable[..., RunReport], server: FakeOpenAI
) -> None:
    results = list(ask(3, seed=40).results())
    assert Counter(request.body["seed"] for request in server.requests) == {40: 3, 41: 3, 42: 3}
    for result in results:
        assert result.run_config.parameters["seed"] == 40 + result.repeat


def test_without_a_seed_every_repeat_sends_the_same(
    ask: Callable[..., RunReport], server: FakeOpenAI
) -> None:
    ask(2, samples=1, temperature=1)
    first, second = (request.body for request in server.requests)
    assert first == second


def test_variants_of_one_config_have_directories_of_their_own(
    make_dataset: Callable[..., Path],
) -> None:
    config = RunConfig(backend="simulated", model="m", backend_options={"latency_ms": 1})
    plain = run(make_dataset(2), config)
    named = run(make_dataset(2), config, variant="at night")
    assert named.run_dir != plain.run_dir
    assert "_at-night-" in named.run_dir.name
    assert named.summary is not None
    assert named.summary.resumed == 0
