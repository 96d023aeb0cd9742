"""The commands of docs/SCALE.md work as they stand; of a cluster, what each of its jobs runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from conftest import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.fake_openai import FakeOpenAI

PAGE = (REPOSITORY / "docs/SCALE.md").read_text(encoding="utf-8")
SAMPLES = 100  # so that no shard of sixteen is empty


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


@pytest.fixture
def shell(
    tmp_path: Path, make_dataset: Callable[..., Path], server: FakeOpenAI
) -> Callable[[str], subprocess.CompletedProcess[str]]:
    """Runs a script in a folder with the dataset; ``/shared`` is that folder."""
    (tmp_path / "my").mkdir()
    make_dataset(SAMPLES).rename(tmp_path / "my/dir")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

    def run(script: str) -> subprocess.CompletedProcess[str]:
        here = script.replace("/shared", str(tmp_path)).replace(
            "http://node1:8000/v1", server.base_url
        )
        return subprocess.run(
            ["bash", "-ec", here],
            cwd=tmp_path,
            env={**os.environ, **server.env, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
            timeout=110,
        )

    return run


def test_the_shards_to_try_become_one_run(
    shell: Callable[[str], subprocess.CompletedProcess[str]],
) -> None:
    (to_try,) = (block for block in blocks("bash") if "backend=simulated" in block)
    done = shell(to_try)
    assert done.returncode == 0, done.stderr
    assert f"samples   {SAMPLES} ok" in done.stdout
    assert "outputs/whole/report.html" in done.stdout


def test_the_jobs_of_the_array_become_one_run(
    shell: Callable[[str], subprocess.CompletedProcess[str]], server: FakeOpenAI
) -> None:
    """The jobs run one after the other: there is no cluster here."""
    (array,) = (block for block in blocks("bash") if "sbatch" in block)
    assert "SLURM_ARRAY_TASK_ID/16" in array
    written, _, submitted = array.partition("array=$(")
    merge = submitted.partition("--wrap '")[2].rstrip("\n'")
    jobs = "for n in 1 2 3; do SLURM_ARRAY_TASK_ID=$n bash shard.sh; done"
    done = shell("\n".join([written.replace("/16", "/3"), jobs, merge]))
    assert done.returncode == 0, done.stderr
    assert done.stdout.rpartition("samples ")[2].split()[:2] == [str(SAMPLES), "ok"]
    assert len(server.requests) == SAMPLES


def test_the_pods_of_the_job_have_each_their_shard(
    shell: Callable[[str], subprocess.CompletedProcess[str]], server: FakeOpenAI
) -> None:
    manifests = (yaml.safe_load(block) for block in blocks("yaml"))
    (job,) = (each for each in manifests if each["kind"] == "Job")
    (pod,) = job["spec"]["template"]["spec"]["containers"]
    assert pod["command"] == ["sh", "-c"]
    (script,) = pod["args"]
    for index in (0, job["spec"]["completions"] - 1):
        done = shell(f"export JOB_COMPLETION_INDEX={index}\n{script}")
        assert done.returncode == 0, done.stderr
    assert 0 < len(server.requests) < SAMPLES
    assert len({received.question for received in server.requests}) == len(server.requests)
