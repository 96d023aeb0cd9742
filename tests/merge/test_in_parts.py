"""Runs whose results are in parts are merged as those in one file."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import orjson
import pytest

from conftest import rows
from lm_eval_so import read_results
from support.fake_openai import FakeOpenAI, Received, Reply

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    Run = Callable[..., subprocess.CompletedProcess[str]]

SAMPLES = 30
IN_PARTS = ["store.parts_above=0", "store.shard_size=7", "store.join_limit_gb=0"]
IDS = [f"s{number}" for number in range(SAMPLES)]


@pytest.fixture
def asked(command: Run, make_dataset: Callable[..., Path], server: FakeOpenAI) -> Run:
    """Runs 30 samples with more overrides."""
    dataset = make_dataset(SAMPLES)

    def asked(*more: str) -> subprocess.CompletedProcess[str]:
        return command("backend=openai", "model=m", f"dataset.path={dataset}", *more,
                       env=server.env)  # fmt: skip

    return asked


def files_of(directory: Path) -> dict[str, bytes]:
    files = (path for path in directory.rglob("*") if path.is_file())
    return {str(path.relative_to(directory)): path.read_bytes() for path in files}


def test_of_shards_that_are_in_parts_nothing_is_missing_and_nothing_is_changed(
    asked: Run, command: Run, server: FakeOpenAI, tmp_path: Path
) -> None:
    for number in (1, 2):
        asked(f"select.shard={number}/2", f"output_dir=shards/{number}", *IN_PARTS)
        (tmp_path / f"shards/{number}/spent.json").unlink()  # so that the lines are counted
    before = files_of(tmp_path / "shards")
    assert any("/parts/" in name for name in before)
    assert not any("run_results" in name for name in before)
    merged = command("merge", "shards/1", "shards/2", "--to", "whole")
    assert merged.returncode == 0, merged.stderr
    assert [row["sample_id"] for row in rows(tmp_path / "whole/run_results.jsonl")] == IDS
    spent = orjson.loads((tmp_path / "whole/spent.json").read_bytes())
    assert spent["requests"] == SAMPLES
    assert files_of(tmp_path / "shards") == before
    for more in ((), IN_PARTS):
        assert asked("output_dir=whole", *more).returncode == 0
    assert len(server.requests) == SAMPLES


def test_a_line_of_a_part_that_is_not_sealed_counts(
    asked: Run, command: Run, tmp_path: Path
) -> None:
    asked("output_dir=one", *IN_PARTS)
    (tmp_path / "one/parts/000000000007.done.json").unlink()
    merged = command("merge", "one", "--to", "whole")
    assert merged.returncode == 0, merged.stderr
    assert [row["sample_id"] for row in rows(tmp_path / "whole/run_results.jsonl")] == IDS


@pytest.mark.parametrize("joined", [False, True], ids=["in-parts", "joined"])
def test_the_place_itself_may_be_in_parts(
    asked: Run, command: Run, server: FakeOpenAI, tmp_path: Path, *, joined: bool
) -> None:
    def refuses(received: Received, _nth: int) -> Reply:
        return Reply(status=400 if received.question.endswith("3") else 200)

    server.behave = refuses
    asked("select.shard=1/2", "output_dir=whole", *IN_PARTS[: 2 if joined else 3])
    server.behave = lambda _received, _nth: Reply()
    asked("select.shard=2/2", "output_dir=other")
    assert (tmp_path / "whole/parts").exists() is not joined
    failed = sum(result.status != "ok" for result in read_results(tmp_path / "whole"))
    assert failed
    for _ in range(2):
        merged = command("merge", "other", "--to", "whole")
        assert merged.returncode == 1, merged.stderr
        assert f"{SAMPLES - failed} ok" in merged.stdout
        assert not (tmp_path / "whole/parts").exists()
        found = [result.sample_id for result in read_results(tmp_path / "whole")]
        assert found == IDS
    shutil.rmtree(tmp_path / "other")
    asked_before = len(server.requests)
    assert asked("output_dir=whole", *IN_PARTS).returncode == 0
    assert len(server.requests) == asked_before + failed
