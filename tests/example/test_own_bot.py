from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from conftest import REPOSITORY, rows
from lm_eval_so.runner.hydra_app.app import main

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = REPOSITORY / "example" / "own_bot"
PROGRAM = [
    "backend=command",
    f"backend.options.command=[{sys.executable},{FOLDER}/program.py]",
    "backend.options.output=json",
]
WAYS = {
    "function": ["backend=python", f"backend.options.callable={FOLDER}/bot.py:answer"],
    "program": PROGRAM,
    "program that stays": [*PROGRAM, "backend.options.persistent=jsonl"],
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_the_bot_answers_as_a_function_and_as_a_program(way: list[str], tmp_path: Path) -> None:
    assert main([*way, "output_dir=run", "runner.progress=none"]) == 0
    lines = rows(tmp_path / "run" / "run_results.jsonl")
    assert len(lines) == 3
    assert all(line["response"]["text"] for line in lines)
    assert lines[0]["response"]["raw"]["sources"] == ["replies.md"]
