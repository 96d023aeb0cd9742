from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from conftest import REPOSITORY
from support.mlflow_tree import tree

if TYPE_CHECKING:
    from pathlib import Path


def test_the_pipeline_answers_and_scores_its_own_questions(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, REPOSITORY / "example/pipeline/pipeline.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    assert done.returncode == 0, done.stderr
    (root,) = tree(f"sqlite:///{tmp_path}/outputs/pipeline/mlflow.db", "capitals").values()
    assert root.status == "FINISHED"
    assert root.drawn() == {"generate FINISHED": {}, "answer FINISHED": {}, "score FINISHED": {}}
    assert root["generate"].artifacts == {"questions.jsonl"}
    assert root["answer"].metrics["status_counts.ok"] == 4
    accuracy = root.metrics["accuracy"]
    assert root["score"].metrics == {"accuracy": accuracy}
    assert f"{accuracy:.0%} of 4 answers" in done.stdout
