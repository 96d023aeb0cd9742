from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import orjson
import pytest

from conftest import rows
from lm_eval_so.runner.errors import ForeignRunError, RunDirectoryBusyError
from lm_eval_so.runner.masking.redactor import Redactor
from lm_eval_so.runner.models import (
    ChatResponse,
    RecordedConfig,
    RequestContext,
    RunError,
    RunResult,
)
from lm_eval_so.runner.store.directory import RunDirectory
from support.metadata import metadata

if TYPE_CHECKING:
    from pathlib import Path

IDENTITY = {"dataset": "d", "model": "m"}
NOW = datetime(2026, 11, 1, tzinfo=UTC)


def result(sample_id: str, key: str = "k", *, text: str | None = "fine") -> RunResult:
    """An answer, or a failure where there is no text."""
    failure = RunError(error_type="InternalServerError", message="down", retryable=True)
    return RunResult(
        sample_id=sample_id,
        dataset_id="d",
        backend="b",
        trace_id=f"t-{sample_id}-00000000",
        status="error" if text is None else "ok",
        attempts=1,
        latency_ms=1.5,
        started_at=NOW,
        completed_at=NOW,
        request_key=key,
        run_config=RecordedConfig(backend="b", model="m", parameters={}, backend_options={}),
        request_messages=[{"role": "user", "content": "q"}],
        request_context=RequestContext(sample_tags=[], sample_metadata={}, expected=None),
        response=None if text is None else ChatResponse(text=text),
        error=failure if text is None else None,
    )


def opened(path: Path, count: int, *secrets: str) -> RunDirectory:
    return RunDirectory(path, IDENTITY, count, Redactor(secrets))


def session(path: Path, asked: list[tuple[str, str]], answers: dict[str, str | None]) -> list[str]:
    """One run over (id, key) pairs; those that are owed get their answer. Returns who was owed."""
    owed = []
    with opened(path, len(asked)) as directory:
        directory.write_metadata(metadata(identity=IDENTITY))
        for index, (sample_id, key) in enumerate(asked):
            if directory.ledger.find(index, sample_id, key) is None:
                owed.append((index, sample_id, key))
        for index, sample_id, key in reversed(owed):
            if sample_id in answers:
                directory.add(index, result(sample_id, key, text=answers[sample_id]))
        directory.put_in_order()
    return [sample_id for _, sample_id, _ in owed]


ABC = [("a", "k"), ("b", "k"), ("c", "k")]


def lines(path: Path) -> list[tuple[str, str, str | None]]:
    return [
        (row["sample_id"], row["request_key"], (row["response"] or {"text": None})["text"])
        for row in rows(path / "run_results.jsonl")
    ]


def test_in_the_end_there_is_one_line_a_sample_in_dataset_order(tmp_path: Path) -> None:
    with opened(tmp_path, 50) as directory:
        for index in (index for start in (3, 1, 0, 2) for index in range(start, 50, 4)):
            directory.add(index, result(f"s{index}"))
        directory.put_in_order()
    assert [row["sample_id"] for row in rows(directory.results_path)] == [
        f"s{n}" for n in range(50)
    ]
    assert [path.name for path in tmp_path.glob("*.tmp")] == []


def test_what_was_added_is_there_at_once_and_can_be_read_back(tmp_path: Path) -> None:
    with opened(tmp_path, 2) as directory:
        directory.add(1, result("b", text="한국어\n\u2028\0"))
        (line,) = directory.results_path.read_bytes().splitlines()
        assert orjson.loads(line)["response"]["text"] == "한국어\n\u2028\0"
        (place,) = directory.ledger.places()
        assert directory.stored(place.offset) == result("b", text="한국어\n\u2028\0")


def test_an_answer_is_not_owed_again_and_a_failure_is(tmp_path: Path) -> None:
    assert session(tmp_path, ABC, {"a": "1", "b": None}) == ["a", "b", "c"]
    assert lines(tmp_path) == [("a", "k", "1"), ("b", "k", None)]
    assert session(tmp_path, ABC, {"b": "2", "c": "3"}) == ["b", "c"]
    assert lines(tmp_path) == [("a", "k", "1"), ("b", "k", "2"), ("c", "k", "3")]
    assert session(tmp_path, ABC, {}) == []


def test_a_failure_that_was_not_tried_again_keeps_its_line(tmp_path: Path) -> None:
    session(tmp_path, ABC, {"a": "1", "b": None, "c": "3"})
    session(tmp_path, ABC, {})
    assert lines(tmp_path) == [("a", "k", "1"), ("b", "k", None), ("c", "k", "3")]


def test_a_file_in_order_is_not_rewritten(tmp_path: Path) -> None:
    session(tmp_path, ABC, {"a": "1", "b": "2", "c": "3"})
    before = (tmp_path / "run_results.jsonl").stat()
    session(tmp_path, ABC, {})
    after = (tmp_path / "run_results.jsonl").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_reordered_dataset_reorders_the_lines_without_asking(tmp_path: Path) -> None:
    session(tmp_path, ABC, {"a": "1", "b": "2", "c": "3"})
    assert session(tmp_path, ABC[::-1], {}) == []
    assert lines(tmp_path) == [("c", "k", "3"), ("b", "k", "2"), ("a", "k", "1")]


def test_answers_to_questions_not_asked_any_more_are_kept_aside_and_come_back(
    tmp_path: Path,
) -> None:
    aside = tmp_path / "superseded_results.jsonl"
    session(tmp_path, ABC, {"a": "1", "b": "2", "c": "3"})
    assert not aside.exists()
    changed = [("a", "k"), ("b", "other")]
    assert session(tmp_path, changed, {"b": "two"}) == ["b"]
    assert lines(tmp_path) == [("a", "k", "1"), ("b", "other", "two")]
    assert sorted(row["sample_id"] for row in rows(aside)) == ["b", "c"]
    assert session(tmp_path, ABC, {}) == []
    assert lines(tmp_path) == [("a", "k", "1"), ("b", "k", "2"), ("c", "k", "3")]
    assert [row["request_key"] for row in rows(aside)] == ["other"]
    assert session(tmp_path, changed, {}) == []


def test_garbage_is_gone_once_the_file_is_in_order(tmp_path: Path) -> None:
    session(tmp_path, ABC, {"a": "1", "b": "2"})
    path = tmp_path / "run_results.jsonl"
    first, second = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([first, b"garbage", second, second[:50]]))
    assert session(tmp_path, ABC, {"c": "3"}) == ["c"]
    assert lines(tmp_path) == [("a", "k", "1"), ("b", "k", "2"), ("c", "k", "3")]


FILL = """
import os, resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from lm_eval_so.runner.errors import StoreError
from test_directory import metadata, opened, result

with opened(Path(sys.argv[1]), 100) as directory:
    directory.write_metadata(metadata(identity={"dataset": "d", "model": "m"}))
    for index in reversed(range(100)):
        directory.add(index, result(f"s{index}"))
    size = directory.results_path.stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, size))
    try:
        directory.put_in_order()
    except StoreError as error:
        print(error)
"""


def test_a_disk_that_fills_up_in_between_leaves_the_old_file(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    tests = request.path.parents[2]
    run = tmp_path / "run"
    done = subprocess.run(
        [sys.executable, "-c", FILL, str(run), str(request.path.parent)],
        env={"PYTHONPATH": os.pathsep.join([str(tests), str(tests.parent)])},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"cannot write {run / 'run_results.jsonl'}")
    assert [row[0] for row in lines(run)] == [f"s{n}" for n in reversed(range(100))]
    assert list(run.glob("*.tmp")) == []
    assert session(run, [(f"s{n}", "k") for n in range(100)], {}) == []
    assert [row[0] for row in lines(run)] == [f"s{n}" for n in range(100)]


def test_a_second_holder_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    with opened(tmp_path, 1) as directory:
        with pytest.raises(RunDirectoryBusyError):
            opened(tmp_path, 1).__enter__()
        directory.add(0, result("a"))
    assert len(rows(tmp_path / "run_results.jsonl")) == 1


def test_a_refused_directory_is_let_go_and_left_alone(tmp_path: Path) -> None:
    session(tmp_path, ABC, {"a": "1"})
    before = (tmp_path / "run_results.jsonl").read_bytes()
    for _ in range(2):
        with pytest.raises(ForeignRunError, match="model is 'm' there and 'n' here"):
            RunDirectory(tmp_path, {**IDENTITY, "model": "n"}, 1, Redactor()).__enter__()
    assert (tmp_path / "run_results.jsonl").read_bytes() == before
    assert session(tmp_path, ABC, {}) == ["b", "c"]


def test_no_line_holds_a_secret(tmp_path: Path) -> None:
    secret = 'sk-"quoted"-0123456789'  # noqa: S105 - invented
    failed = result("b", text=None)
    assert failed.error is not None
    error = failed.error.model_copy(
        update={"message": f"bad key {secret}", "details": {"body": [secret]}}
    )
    with opened(tmp_path, 2, secret) as directory:
        directory.add(0, result("a", text=f"your key is {secret}"))
        directory.add(1, failed.model_copy(update={"error": error}))
        directory.put_in_order()
    written = (tmp_path / "run_results.jsonl").read_bytes()
    assert secret.encode() not in written
    assert orjson.dumps(secret)[1:-1] not in written
    first, second = rows(tmp_path / "run_results.jsonl")
    assert first["response"]["text"] == "your key is ***"
    assert second["error"]["message"] == "bad key ***"


def test_syncing_goes_on_until_it_is_cancelled(tmp_path: Path) -> None:
    async def main() -> None:
        with opened(tmp_path, 1) as directory:
            task = asyncio.ensure_future(directory.keep_synced())
            await asyncio.sleep(0)
            assert not task.done()
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()

    asyncio.run(main())
