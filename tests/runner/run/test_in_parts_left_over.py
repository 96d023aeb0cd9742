"""What earlier commands have left in parts is neither lost nor taken for something else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conftest import rows
from lm_eval_so import RunConfig, stream
from lm_eval_so.runner.config.schema import SelectConfig
from support.fake_openai import FakeOpenAI, Received, Reply
from support.runs_in_parts import IN_PARTS, SAMPLES, Done, ids, killed_after, summary, times_asked

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_only_the_answers_that_are_selected_are_given_to_python(
    asked: Callable[..., Done],
    server: FakeOpenAI,
    make_dataset: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A part may have lines of other selections, and where they are in it says not whose."""
    asked("output_dir=run", "select.ids=[s1,s3,s9]", *IN_PARTS)
    asked("output_dir=run", "select.ids=[s1,s9]", *IN_PARTS)
    for name, value in server.env.items():
        monkeypatch.setenv(name, value)
    config, select = RunConfig(backend="openai", model="m"), SelectConfig(ids=["s1", "s9"])
    got = stream(make_dataset(SAMPLES), config, output_dir="run", select=select)
    assert [each.sample_id for each in got] == ["s1", "s9"]
    assert len(server.requests) == 3


def test_what_a_killed_retry_has_brought_is_kept_by_a_command_that_does_not_come_to_it(
    asked: Callable[..., Done],
    server: FakeOpenAI,
    make_dataset: Callable[..., Path],
    tmp_path: Path,
) -> None:
    """Its part has no marker yet, and above it is an older piece that has one line each."""
    failing = [f"question {number}" for number in (3, 12, 21, 30, 39)]

    def behave(received: Received, nth: int) -> Reply:
        if received.question not in failing:
            return Reply()
        if nth == 1:
            return Reply(status=400, text="no")
        return Reply(hang=received.question == failing[3] and nth == 2)

    server.behave = behave
    in_parts = ["store.parts_above=0", f"store.shard_size={SAMPLES}"]
    asked("output_dir=run", *in_parts, code=1)
    overrides = [f"dataset.path={make_dataset(SAMPLES)}", "output_dir=run", *in_parts]
    killed_after(SAMPLES + 4, server, [*overrides, "runner.max_concurrency=1"], tmp_path)
    asked("output_dir=run", "select.ids=[s0]", *in_parts, code=1)
    found = rows(tmp_path / "run" / "run_results.jsonl")
    ok = [line["sample_id"] for line in found if line["response"]]
    assert len(ok) == 38
    assert {"s3", "s12", "s21"} <= set(ok)
    asked("output_dir=run", *in_parts)
    assert len(server.requests) == SAMPLES + 4 + 2


@pytest.mark.parametrize("size", [7, 11])
def test_parts_of_which_nothing_tells_how_they_were_cut_are_cut_again(
    asked: Callable[..., Done],
    server: FakeOpenAI,
    make_dataset: Callable[..., Path],
    tmp_path: Path,
    size: int,
) -> None:
    """Where the dataset has been edited, their positions are those of other samples."""
    asked("output_dir=run", "store.join_limit_gb=0", *IN_PARTS)
    (tmp_path / "run" / "shards.json").unlink()
    dataset = make_dataset(SAMPLES) / "test.jsonl"
    first, *others = dataset.read_text().splitlines(keepends=True)
    dataset.write_text("".join([first.replace("s0", "new").replace("0", "new"), first, *others]))
    asked("output_dir=run", "store.parts_above=0", f"store.shard_size={size}")
    assert ids(tmp_path / "run") == ["new", *(f"s{n}" for n in range(SAMPLES))]
    assert len(server.requests) == SAMPLES + 1


def test_a_stop_does_not_read_what_a_selection_has_not_come_to(
    asked: Callable[..., Done], server: FakeOpenAI, tmp_path: Path
) -> None:
    """It opens what has lines alone: else a Ctrl-C costs a pass over the dataset."""
    asked("output_dir=run", "select.ids=[s0,s8]", *IN_PARTS)
    asked(
        "output_dir=run",
        "select.limit=38",
        "runner.max_concurrency=1",
        "runner.budget.requests=4",
        *IN_PARTS,
        code=2,
    )
    assert ids(tmp_path / "run") == ["s0", "s1", "s2", "s8"]
    counts = summary(tmp_path / "run")["status_counts"]
    assert counts == {"ok": 4, "owed": 34}
    asked("output_dir=run", *IN_PARTS)
    assert (len(server.requests), times_asked(server)) == (SAMPLES, {1})
