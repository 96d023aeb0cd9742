"""A merge that is killed at any call to its directory, or interrupted."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lm_eval_so.runner.store.spent import SpentFile
from lm_eval_so.runner.summary.amount import Amount
from support import faults
from support.merge_runs import ok

if TYPE_CHECKING:
    from collections.abc import Callable

MERGES = Path(faults.__file__).with_name("faulty_merges.py")
LEAST_CALLS = 15
COUNT = 1_000
HELD = """
import os, sys, time
from lm_eval_so.merge.cli import main

sync = os.fsync

def held(descriptor):
    if "run_results.jsonl." in os.readlink(f"/proc/self/fd/{descriptor}"):
        print("written", flush=True)
        time.sleep(1000)
    sync(descriptor)

os.fsync = held
sys.exit(main())
"""


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return faults.library(tmp_path_factory.mktemp("faults"))


def aside_of(files: dict[str, str]) -> set[str]:
    """The lines that are only set aside; one that has become a result may stand there too."""
    results = set(files["run_results.jsonl"].splitlines())
    return set(files["superseded_results.jsonl"].splitlines()) - results


@pytest.mark.parametrize("own", [False, True], ids=["new", "with-results"])
def test_killed_at_any_call_to_its_files_the_same_command_gives_the_same(
    left: Callable[..., Path], library: Path, tmp_path: Path, *, own: bool
) -> None:
    stale = {"request_messages": [{"role": "user", "content": "old"}]}
    one, two = left("one", [ok(0), ok(1)]), left("two", [ok(2), ok(9, **stale)])
    before = left("before", [ok(0), ok(8, **stale)])
    aside = "".join(f"{line.model_dump_json()}\n" for line in (ok(3), ok(7, **stale)))
    (before / "superseded_results.jsonl").write_text(aside)
    for path in (one, two, before):
        file = SpentFile(path / "spent.json")
        file.write(Amount(2, 20))
        file.close()
    if not own:
        shutil.move(before / "superseded_results.jsonl", two / "superseded_results.jsonl")
        shutil.rmtree(before)
    done = subprocess.run(
        [sys.executable, str(MERGES), str(one), str(two), str(tmp_path / "whole"), str(before)],
        env={**os.environ, "LD_PRELOAD": str(library)},
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    *killed, whole = map(json.loads, done.stdout.splitlines())
    assert len(killed) > LEAST_CALLS
    lines = [json.loads(line) for line in whole["left"]["run_results.jsonl"].splitlines()]
    assert [line["sample_id"] for line in lines] == ["s0", "s1", "s2", "s3"]
    assert json.loads(whole["left"]["spent.json"])["requests"] == (6 if own else 4)
    for after in killed:
        assert after["code"] == 0
        assert aside_of(after["left"]) == aside_of(whole["left"])
        changed = {"superseded_results.jsonl": whole["left"]["superseded_results.jsonl"]}
        assert {**after["left"], **changed} == whole["left"]


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)],
    ids=["ctrl-c", "kill"],
)
def test_interrupted_while_it_writes_it_leaves_no_result_and_the_parts_as_they_were(
    left: Callable[..., Path], tmp_path: Path, number: int, code: int
) -> None:
    line = ok(0).model_dump_json()
    part = left("part", [ok(0)], COUNT)
    with (part / "run_results.jsonl").open("w") as file:
        for n in range(COUNT):
            each = line.replace("question 0", f"question {n}").replace('"s0"', f'"s{n}"')
            file.write(each.replace("key-s0", f"key-s{n}") + "\n")
    before = (part / "run_results.jsonl").read_bytes()
    arguments = [str(part), "--to", "whole"]
    process = subprocess.Popen(
        [sys.executable, "-c", HELD, *arguments],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    whole = tmp_path / "whole"
    assert process.stdout is not None
    assert process.stdout.readline() == "written\n"
    assert list(whole.glob("run_results.jsonl.*.tmp"))
    process.send_signal(number)
    _, told = process.communicate(timeout=100)
    assert process.returncode == code
    assert (part / "run_results.jsonl").read_bytes() == before
    if number == signal.SIGINT:
        assert told == "error: interrupted; nothing was written\n"
        assert not whole.exists()
        return
    assert not (whole / "run_results.jsonl").exists()
    command = [sys.executable, "-m", "lm_eval_so.merge", *arguments]
    assert subprocess.run(command, cwd=tmp_path, check=False, timeout=100).returncode == 0
    assert (whole / "run_results.jsonl").read_bytes() == before
    assert not list(whole.glob("*.tmp"))
