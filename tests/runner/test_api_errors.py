"""Calls from Python that cannot work say what would, and leave nothing in the way of it."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from lm_eval_so import (
    ChatBackend,
    ChatResponse,
    LmEvalError,
    RunConfig,
    RunnerOptions,
    RunRequest,
    TrackingConfig,
    run,
    run_async,
    stream,
)
from lm_eval_so.runner.api import carry_out
from lm_eval_so.runner.errors import ConfigError, RunningLoopError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CONFIG = RunConfig(backend="mine", model="m")
SIMULATED = RunConfig(backend="simulated", model="m", backend_options={"latency_ms": 1})


async def send(request: RunRequest) -> ChatResponse:
    return ChatResponse(text=str(request.messages[-1]["content"]).upper(), finish_reason="stop")


def _names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


@pytest.mark.parametrize("blocking", [run, carry_out])
def test_a_blocking_call_in_a_loop_names_the_async_one_and_leaves_nothing(
    make_dataset: Callable[..., Path], tmp_path: Path, blocking: Callable[..., object]
) -> None:
    data = make_dataset(2)

    async def notebook() -> None:
        with pytest.raises(RunningLoopError, match=r"await run_async\(\.\.\.\)"):
            blocking(data, SIMULATED, output_dir="o")
        assert _names_in(tmp_path) == ["numbers"]
        assert (await run_async(data, SIMULATED, output_dir="o")).state == "complete"

    asyncio.run(notebook())


def test_a_blocking_call_from_a_thread_of_a_loop_works(make_dataset: Callable[..., Path]) -> None:
    report = asyncio.run(_in_a_thread(make_dataset(1)))
    assert report.state == "complete"


async def _in_a_thread(data: Path) -> Any:  # noqa: ANN401 - a report
    return await asyncio.to_thread(run, data, SIMULATED)


def test_what_was_left_by_a_command_that_sent_nothing_is_nobodys(
    make_dataset: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "o").mkdir()
    for name in ("run_results.jsonl", "run.log"):
        (tmp_path / "o" / name).write_text("")
    assert run(make_dataset(1), SIMULATED, output_dir="o").state == "complete"


class _Callable:
    async def __call__(self, request: RunRequest) -> ChatResponse:
        return await send(request)


async def _with_prefix(prefix: str, request: RunRequest) -> ChatResponse:
    answer = await send(request)
    return answer.model_copy(update={"text": prefix + answer.text})


@pytest.mark.parametrize(
    ("function", "text"),
    [
        pytest.param(send, "QUESTION 0", id="function"),
        pytest.param(_Callable(), "QUESTION 0", id="callable-object"),
        pytest.param(partial(_with_prefix, "> "), "> QUESTION 0", id="partial"),
        pytest.param(lambda request: send(request), "QUESTION 0", id="lambda"),  # noqa: PLW0108
    ],
)
def test_a_plain_function_answers(
    make_dataset: Callable[..., Path], function: Callable[..., Any], text: str
) -> None:
    report = run(make_dataset(1), CONFIG, backend=function)
    (result,) = report.results()
    assert result.response is not None
    assert result.response.text == text


def test_a_plain_function_streams_and_resumes(make_dataset: Callable[..., Path]) -> None:
    data = make_dataset(3)
    assert len(list(stream(data, CONFIG, backend=send))) == 3
    report = run(data, CONFIG, backend=send)
    assert report.summary is not None
    assert (report.summary.requests, report.summary.resumed) == (0, 3)


def _blocking(_: RunRequest) -> ChatResponse:
    return ChatResponse(text="x")


async def _a_text(_: RunRequest) -> str:
    return "x"


class _Backend(ChatBackend):
    async def send(self, request: RunRequest) -> ChatResponse:
        return await send(request)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        pytest.param(_blocking, "must be an `async def` that returns a ChatResponse", id="def"),
        pytest.param(_a_text, "returns a ChatResponse, got str", id="text"),
        pytest.param(_Backend, "_Backend is a class; give _Backend(config)", id="class"),
        pytest.param("openai", "must be a ChatBackend or an `async def send", id="name"),
    ],
)
def test_what_is_no_backend_is_one_sentence(
    make_dataset: Callable[..., Path],
    given: Any,  # noqa: ANN401 - all wrong
    sentence: str,
) -> None:
    with pytest.raises(ConfigError, match=sentence.replace("(", r"\(").replace(")", r"\)")):
        run(make_dataset(1), CONFIG, backend=given)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (
            lambda: RunConfig(backend="b", model="m", params={}),  # type: ignore[call-arg]
            "unknown key 'params'; did you mean 'parameters'?",
        ),
        (lambda: RunConfig(backend="b"), "model is missing"),  # type: ignore[call-arg]
        (lambda: RunConfig(backend="b", model=""), "model must be a non-empty string, got ''"),
        (
            lambda: RunnerOptions(max_concurency=3),  # type: ignore[call-arg]
            "unknown key 'max_concurency'; did you mean 'max_concurrency'?",
        ),
        (lambda: RunnerOptions(timeout=0), "timeout must be greater than 0, got 0"),
        (
            lambda: RunnerOptions(budget={"usd": -1}),  # type: ignore[arg-type]
            "budget.usd must be greater than 0, got -1",
        ),
        (
            lambda: TrackingConfig(kind="wandb"),
            "kind: unknown tracker 'wandb' (known: none, mlflow)",
        ),
    ],
)
def test_a_wrong_value_is_one_sentence_of_ours(make: Callable[[], object], sentence: str) -> None:
    with pytest.raises(ConfigError) as refused:
        make()
    assert str(refused.value) == sentence


def test_a_wrong_keyword_of_run_is_one_sentence_too(make_dataset: Callable[..., Path]) -> None:
    with pytest.raises(LmEvalError, match="repeats must be at least 1, got 0"):
        run(make_dataset(1), SIMULATED, repeats=0)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"dataset": 5}, "dataset must be a path, got 5"),
        ({"dataset": b"x"}, "dataset must be a path, got b'x'"),
        ({"dataset": "x" * 300}, "dataset: holds a name that is too long"),
        ({"dataset": ""}, "dataset: is empty"),
        ({"dataset": "d", "metadata": 5}, "metadata must be a path, got 5"),
        ({"dataset": "d", "output_dir": 5}, "output_dir must be a path, got 5"),
        ({"dataset": "d", "output_dir": "a\0b"}, "output_dir: holds NUL"),
        ({"dataset": "d", "output_root": "a\0b"}, "output_root: holds NUL"),
        ({"dataset": "d", "output_root": ""}, "output_root: is empty"),
        ({"samples": [], "dataset_id": "x", "output_root": 5}, "output_root must be a path"),
        ({"samples": [], "dataset_id": "\ud83d"}, "dataset_id: holds half of a character"),
        ({"samples": [], "dataset_id": ["x"]}, "dataset_id must be a string, got ['x']"),
    ],
    ids=lambda value: str(value)[:40].encode("ascii", "replace").decode().replace("\0", "?"),
)
def test_what_names_no_file_or_folder_is_refused_by_its_keyword(
    given: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as raised:
        run(config=SIMULATED, **given)
    assert sentence in str(raised.value)
    assert _names_in(tmp_path) == []


def test_an_id_that_is_a_number_names_samples_as_it_does_in_metadata() -> None:
    samples = [{"id": "a", "messages": [{"role": "user", "content": "q"}]}]
    numbered: Any = {"dataset_id": 5}
    report = run(config=SIMULATED, samples=samples, **numbered)
    assert report.run_dir.parent.name == "5"
