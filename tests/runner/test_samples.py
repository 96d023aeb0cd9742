"""Samples from Python: read once, kept in a file, resumed as a dataset."""

from __future__ import annotations

import asyncio
import json
import stat
from collections import OrderedDict
from datetime import date
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from conftest import rows
from lm_eval_so import (
    ChatBackend,
    ChatResponse,
    RunConfig,
    RunnerOptions,
    RunRequest,
    SelectConfig,
    TestSample,
    run,
    run_async,
    stream,
    stream_async,
)
from lm_eval_so.runner.errors import ConfigError, DatasetError, StoreError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

CONFIG = RunConfig(backend="custom", model="m")


class Parrot(ChatBackend):
    def __init__(self) -> None:
        super().__init__(CONFIG)
        self.sent: list[str] = []

    async def send(self, request: RunRequest) -> ChatResponse:
        self.sent.append(request.sample_id)
        return ChatResponse(text=str(request.messages[-1]["content"]))


def sample(number: int, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - of a sample
    question = {"role": "user", "content": f"question {number}"}
    return {"id": f"s{number}", "messages": [question], **more}


def answers(run_dir: Path) -> dict[str, str]:
    lines = rows(run_dir / "run_results.jsonl")
    return {line["sample_id"]: line["response"]["text"] for line in lines}


def spooled(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def a_list() -> list[dict[str, Any]]:
    return [sample(n) for n in range(3)]


def a_generator() -> Iterator[dict[str, Any]]:
    yield from a_list()


async def an_async_generator() -> AsyncIterator[dict[str, Any]]:
    for each in a_list():
        await asyncio.sleep(0)
        yield each


def values() -> tuple[TestSample, ...]:
    return tuple(TestSample.model_validate(each) for each in a_list())


def a_frame() -> pd.DataFrame:
    return pd.DataFrame(a_list())


KINDS = [a_list, a_generator, an_async_generator, values, a_frame]


@pytest.mark.parametrize("make", KINDS)
def test_samples_of_every_kind_are_run_and_the_same_call_asks_nothing_again(
    make: Callable[[], Any],
) -> None:
    first, second = Parrot(), Parrot()
    report = run(config=CONFIG, samples=make(), dataset_id="mine", backend=first)
    assert answers(report.run_dir) == {f"s{n}": f"question {n}" for n in range(3)}
    assert report.run_dir.parent.name == "mine"
    again = run(config=CONFIG, samples=make(), dataset_id="mine", backend=second)
    assert (again.run_dir, second.sent) == (report.run_dir, [])


@pytest.mark.parametrize("make", KINDS)
def test_samples_are_run_and_streamed_in_an_event_loop_too(make: Callable[[], Any]) -> None:
    async def go() -> tuple[list[str], list[str]]:
        how: Any = {"samples": make(), "dataset_id": "mine", "backend": Parrot()}
        report = await run_async(None, CONFIG, **how)
        how["samples"] = make()
        results = [result.sample_id async for result in stream_async(config=CONFIG, **how)]
        return sorted(answers(report.run_dir)), sorted(results)

    assert asyncio.run(go()) == (["s0", "s1", "s2"],) * 2
    again = stream(config=CONFIG, samples=make(), dataset_id="mine", backend=Parrot())
    assert sorted(result.sample_id for result in again) == ["s0", "s1", "s2"]


def test_all_kinds_of_the_same_samples_are_one_dataset(tmp_path: Path) -> None:
    for make in KINDS:
        run(config=CONFIG, samples=make(), dataset_id="mine", backend=Parrot())
    names = spooled(tmp_path / "outputs" / ".samples")
    assert [name for name in names if name.endswith(".jsonl")] == names[:1]
    assert names[1:] == ["mine/metadata.json"]
    assert len(list((tmp_path / "outputs" / "mine").iterdir())) == 1


def test_an_edited_sample_is_the_only_one_that_is_asked_again() -> None:
    first, second = Parrot(), Parrot()
    samples = [sample(n) for n in range(9)]
    before = run(config=CONFIG, samples=samples, dataset_id="mine", backend=first)
    samples[4]["messages"][0]["content"] = "edited"
    after = run(config=CONFIG, samples=samples, dataset_id="mine", backend=second)
    assert (after.run_dir, second.sent) == (before.run_dir, ["s4"])
    assert answers(after.run_dir)["s4"] == "edited"


def test_a_pilot_of_samples_grows_into_the_whole() -> None:
    first, second = Parrot(), Parrot()
    how: Any = {"samples": [sample(n) for n in range(9)], "dataset_id": "mine"}
    run(config=CONFIG, select=SelectConfig(limit=2), backend=first, **how)
    run(config=CONFIG, backend=second, **how)
    assert (first.sent, sorted(second.sent)) == (["s0", "s1"], [f"s{n}" for n in range(2, 9)])


def test_the_file_is_a_dataset_of_its_own(tmp_path: Path) -> None:
    named = sample(0, expected="42", tags=["t"], metadata={"m": 1}, note="ä")
    run(config=CONFIG, samples=[named], dataset_id="a/b", backend=Parrot())
    (path,) = (tmp_path / "outputs" / ".samples").rglob("*.jsonl")
    assert json.loads(path.read_text(encoding="utf-8")) == named
    again = Parrot()
    run(path, CONFIG, backend=again)
    assert again.sent == []


def test_only_the_owner_can_read_the_samples_unless_the_run_is_not_private(tmp_path: Path) -> None:
    for name, private in (("own", True), ("shared", False)):
        options = RunnerOptions(private=private)
        how: Any = {"samples": a_list(), "dataset_id": name, "backend": Parrot()}
        run(config=CONFIG, options=options, **how)
        for path in (tmp_path / "outputs" / ".samples" / name).iterdir():
            assert bool(stat.S_IMODE(path.stat().st_mode) & 0o077) is not private


def test_samples_are_kept_in_the_output_that_is_named(tmp_path: Path) -> None:
    how: Any = {"samples": a_list(), "dataset_id": "mine", "backend": Parrot()}
    run(config=CONFIG, output_root=tmp_path / "root", **how)
    run(config=CONFIG, output_dir=tmp_path / "run", **how)
    assert len(list((tmp_path / "root" / ".samples" / "mine").glob("*.jsonl"))) == 1
    assert len(list((tmp_path / "run" / ".samples" / "mine").glob("*.jsonl"))) == 1
    assert not (tmp_path / "outputs").exists()


def test_a_frame_counts_by_its_rows_and_what_is_missing_in_one_is_left_out(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "id": pd.array([7, 8], dtype="Int64"),
            "messages": [a_list()[0]["messages"], pd.array(a_list()[1]["messages"]).to_numpy()],
            "expected": ["yes", None],
            "score": [0.5, float("nan")],
            "rank": pd.array([1, None], dtype="Int64"),
            "seen": [pd.Timestamp("2026-01-02"), pd.NaT],
        }
    )
    report = run(config=CONFIG, samples=frame, dataset_id="frame", backend=Parrot())
    assert answers(report.run_dir) == {"7": "question 0", "8": "question 1"}
    (path,) = (tmp_path / "outputs" / ".samples").rglob("*.jsonl")
    first, second = rows(path)
    assert {key: first[key] for key in ("expected", "score", "rank", "seen")} == {
        "expected": "yes",
        "score": 0.5,
        "rank": 1,
        "seen": "2026-01-02T00:00:00",
    }
    assert second.keys() == {"id", "messages"}


def test_values_that_python_writes_differently_become_json() -> None:
    odd = OrderedDict(sample(0, metadata={"day": date(2026, 1, 2), "set": {2, 1}}))
    report = run(config=CONFIG, samples=[odd], dataset_id="odd", backend=Parrot())
    (line,) = rows(report.results_path)
    assert line["request_context"]["sample_metadata"] == {"day": "2026-01-02", "set": [1, 2]}


@pytest.mark.parametrize(
    ("samples", "sentence"),
    [
        ([sample(0), {"id": "x"}], "samples[1]: messages is missing"),
        ([sample(0), sample(1), "s2"], "samples[2]: must be a dict or a TestSample, got str"),
        ([sample(0), sample(1), sample(0)], "samples[2]: duplicate id 's0', first at samples[0]"),
        ([sample(0, metadata={"x": object()})], "samples[0]: a value cannot be written as JSON: "),
        ([sample(0, metadata={"x": float("nan")})], "samples[0]: metadata.x is NaN"),
        ([sample(0, expected="\ud800")], "samples[0]: "),
        ([{"id": "x", "question": "?"}], "samples[0]: messages is missing; found `question`"),
        ([], "samples: there are none"),
    ],
)
def test_what_is_no_sample_is_told_by_its_position_and_leaves_no_file(
    samples: list[Any], sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(DatasetError) as caught:
        run(config=CONFIG, samples=samples, dataset_id="mine", backend=Parrot())
    assert sentence in str(caught.value)
    assert spooled(tmp_path) == []


def test_ten_that_are_no_samples_are_told_at_once() -> None:
    with pytest.raises(DatasetError) as caught:
        run(config=CONFIG, samples=[{} for _ in range(99)], dataset_id="mine", backend=Parrot())
    told = str(caught.value).splitlines()
    assert [line.partition(":")[0] for line in told[:-1]] == [f"samples[{n}]" for n in range(10)]
    assert told[-1] == "stopped after 10 errors"


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ({}, "give either a dataset (its path) or samples=, and not both"),
        ({"dataset": "d", "samples": []}, "and not both"),
        ({"samples": a_list()}, "samples need dataset_id='...'"),
        ({"samples": a_list(), "dataset_id": ""}, "samples need dataset_id='...'"),
        ({"dataset": "d", "dataset_id": "x"}, "a dataset has its id in metadata.json"),
        ({"samples": "my/dir", "dataset_id": "x"}, "got str; a path is given as dataset"),
        ({"samples": sample(0), "dataset_id": "x"}, "got dict; a path is given as dataset, one"),
        ({"samples": 7, "dataset_id": "x"}, "got int"),
    ],
)
def test_a_call_without_samples_or_a_name_is_told_what_it_lacks(
    how: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as caught:
        run(config=CONFIG, backend=Parrot(), **how)
    assert sentence in str(caught.value)
    assert spooled(tmp_path) == []


def test_a_call_without_a_config_is_told_what_one_is(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"a run needs a config: RunConfig\(backend="):
        run(tmp_path, backend=Parrot())


def test_what_the_iterable_raises_is_raised_and_leaves_no_file(tmp_path: Path) -> None:
    def broken() -> Iterator[dict[str, Any]]:
        yield sample(0)
        raise FileNotFoundError("gone")

    with pytest.raises(FileNotFoundError, match="gone"):
        run(config=CONFIG, samples=broken(), dataset_id="mine", backend=Parrot())
    assert spooled(tmp_path) == []


def test_an_output_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "outputs").write_text("a file")
    with pytest.raises(StoreError, match="cannot write"):
        run(config=CONFIG, samples=a_list(), dataset_id="mine", backend=Parrot())


def test_two_datasets_of_one_name_are_told_apart() -> None:
    other = [{"id": f"o{n}", "messages": sample(n)["messages"]} for n in range(3)]
    first = run(config=CONFIG, samples=a_list(), dataset_id="mine", backend=Parrot())
    second = run(config=CONFIG, samples=other, dataset_id="mine", backend=Parrot())
    assert first.run_dir != second.run_dir
