"""Run directories as a person makes them, by the command line, and pages about them."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from conftest import program
from lm_eval_so.runner.run.exit_code import ExitCode
from support.fake_openai import FakeOpenAI
from support.hostile import MODEL, NAME, attack, hostile_samples
from support.shop import MODELS, PROMPTS, REPEATS, answer, shop_samples

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

FAILED = (ExitCode.SAMPLES_FAILED, ExitCode.NOT_CARRIED_OUT)
_FOREIGN = ("ANTHROPIC_", "OPENAI_", "LM_EVAL_SO_", "HYDRA_", "MLFLOW_")


@dataclass(frozen=True)
class Reported:
    """Run directories, and a page about them.

    Attributes:
        page: The HTML file.
        runs: The run directories, in the order of the page's cells.
        dataset: The samples that were asked.
    """

    page: Path
    runs: list[Path]
    dataset: Path


def carried_out(
    folder: Path,
    *arguments: object,
    env: Mapping[str, str] | None = None,
    codes: tuple[int, ...] = (0,),
) -> str:
    """Carries out ``lm-eval-so``, and gives what it said on stdout."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    done = subprocess.run(
        [*program(), *map(str, arguments)],
        env={**own, **(env or {})},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    assert done.returncode in codes, done.stdout + done.stderr
    return done.stdout


def write_dataset(
    folder: Path,
    samples: Iterable[Mapping[str, Any]],
    name: str,
    *,
    version: str = "1",
    id_: str = "shop",
) -> Path:
    """A dataset's folder; lone surrogates are written as JSON escapes."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = "".join(json.dumps(sample) + "\n" for sample in samples)
    (folder / "test.jsonl").write_text(lines, encoding="utf-8")
    told = {"id": id_, "name": name, "version": version}
    (folder / "metadata.json").write_text(json.dumps(told), encoding="utf-8")
    return folder


def shop_sweep(folder: Path) -> Reported:
    """Two prompts and two models, each sample twice; a budget ends three of the cells.

    In them are answers that are equal and that differ, errors, timeouts, retries, tool calls,
    reasoning, and what is truncated, refused, empty and owed.
    """
    dataset = write_dataset(folder / "shop", shop_samples(), "Shop")
    common = [
        *("backend=openai", f"dataset.path={dataset}", f"repeats={REPEATS}"),
        *("params.temperature=0", "runner.timeout=1", "runner.max_retries=1"),
        *("runner.backoff_initial=0.01", "runner.max_concurrency=16"),
    ]
    models, prompts = ",".join(MODELS), ",".join(f"'{prompt}'" for prompt in PROMPTS)
    with FakeOpenAI(answer) as server:
        swept = ["-m", f"model={models}", f"prompt.system={prompts}", "sweep_name=shop"]
        budget = "runner.budget.requests=84"
        carried_out(folder, *common, *swept, budget, env=server.env, codes=FAILED)
        cell = [f"model={MODELS[1]}", f"prompt.system={PROMPTS[0]}"]
        carried_out(folder, *common, *cell, env=server.env, codes=FAILED)
    sweep = folder / "outputs/shop/sweeps/shop"
    record = json.loads((sweep / "sweep.json").read_text())
    page = folder / "report.html"
    carried_out(folder, "report", sweep, "-o", page)
    return Reported(page, [folder / cell["directory"] for cell in record["cells"]], dataset)


def hostile_runs(folder: Path) -> Reported:
    """Two runs whose every text attacks the page: one of answers, one of errors."""
    dataset = write_dataset(folder / "hostile", hostile_samples(), NAME, version=NAME)
    runs = [folder / "answers", folder / "errors"]
    with FakeOpenAI(attack) as server:
        for model, run in zip((MODEL, "errs"), runs, strict=True):
            carried_out(
                folder,
                *("backend=openai", f"model='{model}'", f"dataset.path={dataset}"),
                *(f"output_dir={run}", "runner.max_failures=null", f"variant='{NAME}'"),
                env=server.env,
                codes=(ExitCode.OK, ExitCode.SAMPLES_FAILED),
            )
    page = folder / "report.html"
    carried_out(folder, "report", *runs, "-o", page)
    return Reported(page, runs, dataset)
