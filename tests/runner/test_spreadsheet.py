"""The tester's task: a spreadsheet, two prompts, two models; first five samples, then all."""

from __future__ import annotations

import csv
import json
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from support.fake_openai import FakeOpenAI

COUNT = 50


def test_a_spreadsheet_two_prompts_and_two_models_first_five_and_then_all(
    command: Callable[..., subprocess.CompletedProcess[str]], server: FakeOpenAI, tmp_path: Path
) -> None:
    with (tmp_path / "questions.csv").open("w", newline="", encoding="utf-8-sig") as file:
        sheet = csv.writer(file)
        sheet.writerow(["question", "answer", "topic"])
        sheet.writerows([f"question {n},\nplease", f"answer {n}", "refund"] for n in range(COUNT))
    (tmp_path / "prompts").mkdir()
    for name in ("terse", "polite"):
        (tmp_path / "prompts" / f"{name}.md").write_text(f"Be {name}.")
    typed = (
        *("-m", "backend=openai", "model=a,b", "dataset.path=questions.csv"),
        "prompt.system_file=glob(prompts/*.md)",
    )

    pilot = command(*typed, "select.limit=5", env=server.env)
    assert pilot.returncode == 0, pilot.stderr
    assert "input from column `question`, expected from column `answer`" in pilot.stderr
    assert len(server.requests) == 4 * 5

    whole = command(*typed, env=server.env)
    assert whole.returncode == 0, whole.stderr
    asked = Counter(
        (request.body["model"], json.dumps(request.body["messages"])) for request in server.requests
    )
    assert len(asked) == 4 * COUNT
    assert set(asked.values()) == {1}, "the second command asks only what is new"
    directories = {path.parent.name for path in tmp_path.rglob("run_results.jsonl")}
    assert len(directories) == 4
    assert sum("terse" in name for name in directories) == 2
    rows = [line.split() for line in whole.stdout.splitlines() if "complete" in line]
    assert len(rows) == 4
    assert all(str(COUNT) in row for row in rows)


def test_a_look_before_the_money_sends_nothing(
    command: Callable[..., subprocess.CompletedProcess[str]], server: FakeOpenAI, tmp_path: Path
) -> None:
    (tmp_path / "questions.csv").write_text("question\nWhy?\nWhen?\n")
    shown = command(
        *("backend=openai", "model=a", "dataset.path=questions.csv", "preview=3"),
        *("prompt.system=Be brief, please.", "select.limit=1"),
        env=server.env,
    )
    assert shown.returncode == 0, shown.stderr
    assert '"content": "Be brief, please."' in shown.stdout
    assert '"content": "Why?"' in shown.stdout
    assert "When?" not in shown.stdout, "it is not selected"
    assert server.env["OPENAI_API_KEY"] not in shown.stdout
    assert not server.requests
    assert not (tmp_path / "outputs").exists()
