"""Shards that real processes have asked a real server become what one process leaves."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections import Counter
from typing import TYPE_CHECKING

import orjson
import pytest

from conftest import program, rows
from support.fake_openai import FakeOpenAI, Received, Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    Run = Callable[..., subprocess.CompletedProcess[str]]

MODEL = ["backend=openai", "model=m", "runner.max_retries=0"]
_PASSING = re.compile(
    rb'"(?:trace_id|started_at|completed_at|request_id)":"[^"]*"|"(?:latency_ms|created)":[\d.]+'
    rb'|"id":"[^"]*"'
)


def lasting(directory: Path) -> bytes:
    """The results without times and ids."""
    return _PASSING.sub(b"", (directory / "run_results.jsonl").read_bytes())


def metadata(directory: Path) -> dict[str, object]:
    found: dict[str, object] = orjson.loads((directory / "run_metadata.json").read_bytes())
    return found


@pytest.fixture
def shards(tmp_path: Path, server: FakeOpenAI) -> Callable[..., list[Path]]:
    """Runs shards in processes at the same time; their directories."""

    def shards(config: Sequence[str], count: int, only: Sequence[int] = ()) -> list[Path]:
        numbers = only or range(1, count + 1)
        running = [
            subprocess.Popen(
                [
                    *program(),
                    *config,
                    f"select.shard={number}/{count}",
                    f"output_dir=parts/{number}",
                ],
                env={**os.environ, **server.env},
                cwd=tmp_path,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            for number in numbers
        ]
        codes = {process.wait(110) for process in running}
        assert codes <= {0, 1}
        return [tmp_path / "parts" / str(number) for number in numbers]

    return shards


def test_shards_of_two_processes_are_byte_for_byte_the_run_of_one(
    shards: Callable[..., list[Path]], command: Run, make_dataset: Callable[..., Path],
    server: FakeOpenAI, tmp_path: Path,
) -> None:  # fmt: skip
    config = [*MODEL, "dataset=path", f"dataset.path={make_dataset(30)}", "repeats=2"]
    assert command(*config, "output_dir=one", env=server.env).returncode == 0
    parts = shards(config, 2)
    before = [(path / "run_results.jsonl").read_bytes() for path in parts]
    merged = command("merge", *map(str, parts), "--to", "whole")
    assert merged.returncode == 0, merged.stderr
    assert "60 ok" in merged.stdout
    assert lasting(tmp_path / "whole") == lasting(tmp_path / "one")
    assert [(path / "run_results.jsonl").read_bytes() for path in parts] == before
    one, whole = metadata(tmp_path / "one"), metadata(tmp_path / "whole")
    same = {"state", "reason", "verdict", "selection", "dataset", "fingerprint", "repeats"}
    assert {key: whole[key] for key in same} == {key: one[key] for key in same}
    one_spent, whole_spent = (
        orjson.loads((tmp_path / name / "spent.json").read_bytes()) for name in ("one", "whole")
    )
    assert whole_spent == one_spent
    asked = len(server.requests)
    again = command(*config, "output_dir=whole", env=server.env)
    assert (again.returncode, len(server.requests)) == (0, asked)
    assert command("report", "whole").returncode == 0


def test_after_a_merge_into_its_own_directory_the_command_asks_what_failed_alone(
    shards: Callable[..., list[Path]], command: Run, make_dataset: Callable[..., Path],
    server: FakeOpenAI, tmp_path: Path,
) -> None:  # fmt: skip
    config = [*MODEL, "dataset=path", f"dataset.path={make_dataset(24)}"]
    assert command(*config, "select.limit=2", env=server.env).returncode == 0
    (own,) = (tmp_path / "outputs/numbers").glob("openai_*")
    fails = {"question 7", "question 13", "question 21"}

    def refuses(received: Received, _nth: int) -> Reply:
        return Reply(status=400 if received.question in fails else 200)

    server.behave = refuses
    parts = shards(config, 3)
    merged = command("merge", *map(str, parts), "--to", str(own))
    assert merged.returncode == 1, merged.stderr
    assert [row["sample_id"] for row in rows(own / "run_results.jsonl")] == [
        f"s{number}" for number in range(24)
    ]
    assert metadata(own)["state"] == "complete"
    server.behave = lambda _received, _nth: Reply()
    server.requests.clear()
    assert command(*config, env=server.env).returncode == 0
    assert Counter(received.question for received in server.requests) == Counter(fails)


def test_a_missing_shard_leaves_the_run_partial_and_the_command_at_the_end_finishes_it(
    shards: Callable[..., list[Path]], command: Run, server: FakeOpenAI, tmp_path: Path
) -> None:
    table = "nr;Frage;Land\n" + "".join(f"{n};Was ist {n}?;DE\n" for n in range(12))
    (tmp_path / "fragen.csv").write_text(table, encoding="utf-16")
    config = [
        *(*MODEL, "dataset=csv", "dataset.path=fragen.csv", "dataset.encoding=utf-16"),
        *("dataset.delimiter=;", "dataset.columns.id=nr", "dataset.columns.input=Frage"),
    ]
    assert command(*config, "output_dir=one", env=server.env).returncode == 0
    parts = shards(config, 3, only=(1, 3))
    there = sum(len(rows(path / "run_results.jsonl")) for path in parts)
    merged = command("merge", *map(str, parts), "--to", "whole")
    assert merged.returncode == 2
    assert f"partial: {12 - there} of 12 samples have no outcome" in merged.stdout
    found = metadata(tmp_path / "whole")
    assert found["state"] == "partial"
    assert found["reason"] == f"{12 - there} of 12 results are in none of the merged directories"
    assert found["selection"] == {"asked": {}, "selected": 12, "of": 12}
    dataset = metadata(tmp_path / "one")["dataset"]
    assert isinstance(dataset, dict)
    assert dataset["config"] == {
        "path": "fragen.csv",
        "encoding": "utf-16",
        "delimiter": ";",
        "columns": {"id": "nr", "input": "Frage"},
    }
    assert found["dataset"] == dataset
    sentence = merged.stderr.strip().splitlines()[-1]
    missing, _, way_on = sentence.partition("; ask for them with: ")
    assert missing == f"{12 - there} of 12 results are missing"
    server.requests.clear()
    words = shlex.split(way_on)
    assert words[0] == "lm-eval-so"
    finished = command(*words[1:], env=server.env)
    assert finished.returncode == 0, finished.stderr
    assert len(server.requests) == 12 - there
    assert lasting(tmp_path / "whole") == lasting(tmp_path / "one")
