"""What a backend of one's own raises, cancels or says is its sample's error, and ends no run."""

from __future__ import annotations

import asyncio
import logging
import math
from typing import TYPE_CHECKING

import pytest

from lm_eval_so import (
    BackendError,
    ChatBackend,
    ChatResponse,
    RunConfig,
    RunnerOptions,
    RunRequest,
    run,
    run_async,
)
from lm_eval_so.runner.errors import BackendSetupError, BackendUnusableError
from lm_eval_so.runner.store.metadata import read_metadata
from lm_eval_so.runner.strategy import fault
from lm_eval_so.runner.text.exception_text import LONGEST_MESSAGE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    Make = Callable[..., Path]

CONFIG = RunConfig(backend="own", model="m")
BAD = "s2"


@pytest.fixture(autouse=True)
def _no_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """Halves of characters cannot be passed on by who collects the logs of tests."""
    monkeypatch.setattr(logging.getLogger(fault.__name__), "disabled", True)


class SpeechlessError(Exception):
    def __str__(self) -> str:
        raise KeyError("no words")


class Own(ChatBackend):
    """Does something for one sample, and answers."""

    def __init__(self, act: Callable[[], Awaitable[None]]) -> None:
        super().__init__(CONFIG)
        self.act = act

    async def send(self, request: RunRequest) -> ChatResponse:
        if request.sample_id == BAD:
            await self.act()
        return ChatResponse(text="fine")


def _cancel_this() -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()


async def cancels_itself() -> None:
    _cancel_this()
    await asyncio.sleep(60)


async def cancels_itself_twice() -> None:
    try:
        await cancels_itself()
    finally:
        _cancel_this()


async def cancels_itself_soon() -> None:
    asyncio.get_running_loop().call_soon(_named("cancel"))
    await asyncio.sleep(60)


def _named(method: str) -> Callable[[], object]:
    found: Callable[[], object] = getattr(asyncio.current_task(), method)
    return found


async def cancels_and_answers() -> None:
    _cancel_this()


async def cancels_and_catches() -> None:
    try:
        await cancels_itself()
    except asyncio.CancelledError:
        return


def raising(error: BaseException) -> Callable[[], Awaitable[None]]:
    async def act() -> None:
        raise error

    return act


@pytest.mark.parametrize(
    ("act", "told"),
    [
        pytest.param(cancels_itself, "it cancelled its own task (", id="cancels-itself"),
        pytest.param(cancels_itself_twice, "it cancelled its own task (", id="twice"),
        pytest.param(cancels_itself_soon, "it cancelled its own task (", id="soon"),
        pytest.param(raising(asyncio.CancelledError()), "it cancelled its own task (", id="raised"),
        pytest.param(raising(GeneratorExit("x")), "GeneratorExit: x (", id="generator-exit"),
        pytest.param(raising(BaseException("x")), "BaseException: x (", id="base-exception"),
        pytest.param(
            raising(SpeechlessError()),
            "SpeechlessError: (what it says cannot be told: KeyError) (",
            id="speechless",
        ),
        pytest.param(raising(ValueError("a\udcff")), "ValueError: a\ufffd (", id="half-character"),
    ],
)
def test_what_a_backend_does_to_itself_is_its_samples_error(
    act: Callable[[], Awaitable[None]], told: str, make_dataset: Make
) -> None:
    report = run(make_dataset(9), CONFIG, backend=Own(act))
    results = {result.sample_id: result.error for result in report.results()}
    assert (report.state, len(results)) == ("complete", 9)
    error = results.pop(BAD)
    assert error is not None
    assert (error.error_type, error.message.partition(told)[:2]) == (
        "BackendFaultError",
        ("the backend broke: ", told),
    )
    assert not any(results.values())


@pytest.mark.parametrize("act", [cancels_and_answers, cancels_and_catches])
def test_an_answer_of_a_task_that_was_cancelled_by_itself_is_kept(
    act: Callable[[], Awaitable[None]], make_dataset: Make
) -> None:
    report = run(make_dataset(9), CONFIG, backend=Own(act))
    assert [result.status for result in report.results()] == ["ok"] * 9


def test_a_backend_that_cancels_itself_for_all_samples_stops_the_run(make_dataset: Make) -> None:
    class Cancels(Own):
        async def send(self, request: RunRequest) -> ChatResponse:
            await self.act()
            raise AssertionError(request)

    with pytest.raises(BackendUnusableError, match="the backend broke: it cancelled its own task"):
        run(make_dataset(30), CONFIG, backend=Cancels(cancels_itself))


def test_a_call_that_is_cancelled_from_outside_is_cancelled(make_dataset: Make) -> None:
    begun = asyncio.Event()

    async def hangs() -> None:
        begun.set()
        await asyncio.Event().wait()

    async def left() -> None:
        options = RunnerOptions(max_concurrency=2)
        task = asyncio.create_task(
            run_async(make_dataset(9), CONFIG, backend=Own(hangs), options=options)
        )
        await begun.wait()
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()

    asyncio.run(left())


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (None, "None"),
        (SpeechlessError(), "(what it says cannot be told: KeyError)"),
        ("\ud83d", "\ufffd"),
        ("x" * 1_000_000, "x" * (LONGEST_MESSAGE - 1) + "…"),
    ],
    ids=["none", "speechless", "half-character", "long"],
)
def test_the_message_of_an_error_is_text_that_can_be_written(
    message: object, told: str, make_dataset: Make
) -> None:
    error = BackendError(message)  # type: ignore[arg-type] - what a backend without types gives
    report = run(make_dataset(9), CONFIG, backend=Own(raising(error)))
    failed = [result.error for result in report.results() if result.error]
    assert [error.message for error in failed] == [told]


@pytest.mark.parametrize("sign", ["x", "1", " ", "-", ".", "/", "=", ":", "'x", '"', "\ud83d"])
def test_a_long_text_of_an_exception_costs_no_time(sign: str, make_dataset: Make) -> None:
    long = sign * 1_000_000
    report = run(make_dataset(9), CONFIG, backend=Own(raising(ValueError(long))))
    failed = [result.error for result in report.results() if result.error]
    assert [len(error.message) < 2 * LONGEST_MESSAGE for error in failed] == [True]


@pytest.mark.parametrize(
    "error", [ValueError("open \udcff"), BackendError("\ud83d")], ids=["own", "ours"]
)
def test_half_a_character_in_what_all_samples_meet_stops_the_run_with_its_sentence(
    error: Exception, make_dataset: Make, tmp_path: Path
) -> None:
    async def fails(request: RunRequest) -> ChatResponse:
        del request
        raise error

    with pytest.raises(BackendUnusableError, match="\ufffd"):
        run(make_dataset(30), CONFIG, backend=fails, output_dir="run")
    metadata = read_metadata(tmp_path / "run")
    assert metadata is not None
    assert "\ufffd" in (metadata.reason or "")


class BareError(BackendError):
    def __init__(self) -> None:
        """Says nothing of itself."""


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (BareError(), "TypeError: BareError does not call the __init__ of BackendError"),
        *(
            (BackendError("no", **{name: value}), f"TypeError: BackendError has {name}={value!r}")
            for name, value in (
                ("status_code", "400"),
                ("retry_after", "5"),
                ("retry_after", math.nan),
                ("headers", ["a"]),
                ("details", 5),
            )
        ),
    ],
    ids=str,
)
def test_an_error_with_a_wrong_type_in_it_is_its_samples_error(
    error: BackendError, told: str, make_dataset: Make
) -> None:
    report = run(make_dataset(9), CONFIG, backend=Own(raising(error)))
    (failed,) = [result.error for result in report.results() if result.error]
    assert (failed.error_type, failed.message) == (
        "BackendFaultError",
        f"the backend broke: {told}",
    )


def test_details_are_kept_whatever_their_names_are(make_dataset: Make) -> None:
    error = BackendError("no", details={1: "one"})  # type: ignore[dict-item]
    report = run(make_dataset(9), CONFIG, backend=Own(raising(error)))
    assert [each.error.details for each in report.results() if each.error] == [{"1": "one"}]


@pytest.mark.parametrize("method", ["__aenter__", "__aexit__", "examine"])
def test_what_a_backend_raises_beside_its_samples_is_one_sentence(
    method: str, make_dataset: Make
) -> None:
    def breaks(*_: object) -> None:
        raise KeyError("k")

    faulty = type("Faulty", (Own,), {method: breaks})
    with pytest.raises(
        BackendSetupError, match=rf"^the backend's {method} broke: KeyError: 'k' \(.*, in breaks\)$"
    ):
        run(make_dataset(9), CONFIG, backend=faulty(cancels_and_answers))
