"""Cells on a real Slurm of one node: ``make soak``, or ``slurm.py``; a few minutes.

Each part ends the jobs in another way, and gives the same command again: by the provider's books
nothing is asked twice, but for what a kill found in flight.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from measure import BIN, Bench, Figure, Provider, provider
from slurm_node import asked, missing, slurm_node

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SAMPLES = 200
AT_ONCE = 4
CELLS = 2
LATENCY = {"latency_s": 0.3}
PATIENCE_S = 240
CLEARED_UP_S = 20
UNDER_WAY_S = 20
COUNTED = "so far: [1] "


class Sweep:
    """Two cells, each a job.

    Attributes:
        root: The output root.
    """

    def __init__(self, bench: Bench, server: Provider) -> None:
        bench.runs += 1
        self.server = server
        self.root = bench.folder / f"slurm-{bench.runs}"
        self.root.mkdir()
        self.words = [
            *(str(BIN / "lm-eval-so"), "-m", "hydra/launcher=submitit_slurm", "backend=openai"),
            *("model=fake", "params.seed=0,1", f"runner.max_concurrency={AT_ONCE}"),
            *("dataset=path", f"dataset.path={bench.dataset(SAMPLES)}"),
            *(f"output_root={self.root}", "sweep_name=s"),
        ]
        self.said = ""
        self.code = 0

    def run(self, midway: Callable[[Sweep], None] | None = None, *overrides: str) -> None:
        """Runs the command to its end; ``midway`` is called once the cells have some answers."""
        output = self.root / "said"
        with output.open("wb") as out:
            self.process = subprocess.Popen(
                [*self.words, *overrides],
                env={**os.environ, **self.server.env},
                stdout=out,
                stderr=out,
            )
        try:
            if midway is not None:
                self.wait_until_under_way()
                midway(self)
            self.code = self.process.wait(PATIENCE_S)
        finally:
            self.process.kill()
        self.said = output.read_text()

    def wait_until_under_way(self) -> None:
        """Returns when each cell has some results and this was told, or none could be by now."""
        deadline, output = time.monotonic() + UNDER_WAY_S, self.root / "said"
        while time.monotonic() < deadline:
            enough = min([*self.lines(), *[0] * CELLS][:CELLS]) >= SAMPLES // 10
            if enough and COUNTED in output.read_text():
                return
            time.sleep(0.2)

    def lines(self) -> list[int]:
        """Results of each cell that has begun."""
        return [
            path.read_bytes().count(b"\n") for path in sorted(self.root.rglob("run_results.jsonl"))
        ]

    def jobs(self) -> list[str]:
        """Those that wait or run."""
        return asked("squeue", "--noheader", "--array", "--format=%i").split()

    def jobs_left(self) -> int:
        """Those that are still there once Slurm has had time to clear up."""
        deadline = time.monotonic() + CLEARED_UP_S
        while self.jobs() and time.monotonic() < deadline:
            time.sleep(0.2)
        return len(self.jobs())

    def cells(self) -> list[dict[str, Any]]:
        """The rows of the sweep's record."""
        (path,) = self.root.rglob("sweep.json")
        cells: list[dict[str, Any]] = json.loads(path.read_text())["cells"]
        return cells

    def holders(self) -> list[int]:
        """The processes that write."""
        paths = sorted(self.root.rglob(".lock.holder"))
        return [json.loads(path.read_text())["pid"] for path in paths]


def part(
    bench: Bench, what: str, code: int, midway: Callable[[Sweep], None], *overrides: str
) -> Iterator[Figure]:
    """A sweep that is ended midway, and given again without the overrides.

    Args:
        bench: Has the folder.
        what: Is done to it.
        code: The exit code that it is to have.
        midway: Does it.
        overrides: Of the config.
    """
    with provider(**LATENCY) as server:
        sweep = Sweep(bench, server)
        sweep.run(midway, *overrides)
        first, kept, states = sweep.code, sum(sweep.lines()), [c["state"] for c in sweep.cells()]
        left, lost = sweep.jobs_left(), server.stats()["requests"] - kept
        clean = "Traceback" not in sweep.said + logs(sweep.root)
        told = len(re.findall(r"job \d+_\d, log /", sweep.said)), sweep.said.count(COUNTED)
        sweep.run()
        books = server.stats()
    beyond = books["requests"] - CELLS * SAMPLES
    at_most = AT_ONCE if midway is kill_one else 0
    yield Figure(
        f"Slurm, two cells of {SAMPLES}, {what}",
        f"exit code {first}, {' and '.join(states)}, {kept} results kept, {lost} lost, {left} jobs "
        f"left, {'no' if clean else 'a'} traceback, {told[0]} jobs named, counts told "
        f"{told[1]} times; the same again: {sweep.code}, {beyond} requests beyond one a question",
        f"{code}; at most {at_most} lost; none left; no traceback; all named; 0",
        (first, sweep.code, left, told[0]) == (code, 0, 0, CELLS)
        and clean
        and told[1] > 0
        and max(lost, beyond) <= at_most,
    )


def logs(root: Path) -> str:
    return "".join(path.read_text() for path in root.rglob("*_log.*"))


def interrupt(sweep: Sweep) -> None:
    sweep.process.send_signal(signal.SIGINT)


def cancel(sweep: Sweep) -> None:
    asked("scancel", *{job.partition("_")[0] for job in sweep.jobs()})


def kill_one(sweep: Sweep) -> None:
    os.kill(sweep.holders()[0], signal.SIGKILL)


def nothing(_: Sweep) -> None:
    """Time does it."""


def checkpoint(sweep: Sweep) -> None:
    """What Slurm sends before a time limit, or where a job must make room."""
    asked("scancel", "--signal=USR2", *sweep.jobs())


def slurm(bench: Bench) -> Iterator[Figure]:
    """All parts, or the reason why there are none."""
    why_not = missing()
    if why_not is not None:
        yield Figure("cells on Slurm", f"left out: {why_not}", "where there is Slurm", met=True)
        return
    with slurm_node(bench.folder / "slurm"):
        yield from part(bench, "Ctrl-C", 130, interrupt)
        yield from part(bench, "scancel", 143, cancel)
        yield from part(bench, "kill -9 of a cell", 2, kill_one)
        again = "hydra.launcher.max_num_timeout=3"
        yield from part(bench, "checkpoint and requeue", 0, checkpoint, again)
        brief = ("hydra.launcher.timeout_min=1", "hydra.launcher.signal_delay_s=0")
        yield from part(bench, "a time limit", 143, nothing, *brief, "runner.rate_limit=2")
        yield from insisted(bench)
        yield from array(bench)


def insisted(bench: Bench) -> Iterator[Figure]:
    """Ctrl-C twice, where no answer comes: no job goes on."""
    with provider(latency_s=600) as server:
        sweep = Sweep(bench, server)
        sweep.run(insist)
        left = sweep.jobs_left()
    yield Figure(
        "Slurm, two cells without an answer, Ctrl-C twice",
        f"exit code {sweep.code}, {left} jobs left",
        "130; none left",
        (sweep.code, left) == (130, 0),
    )


def insist(sweep: Sweep) -> None:
    for _ in range(2):
        sweep.process.send_signal(signal.SIGINT)
        time.sleep(1)


def array(bench: Bench) -> Iterator[Figure]:
    """Plain runs as ``sbatch --array`` starts them, under one limit."""
    per_s = 20
    with provider(**LATENCY, requests_per_minute=60 * per_s, headers=False) as server:
        root = bench.folder / "array"
        command = (
            f"{BIN / 'lm-eval-so'} backend=openai model=fake dataset=path "
            f"dataset.path={bench.dataset(SAMPLES)} params.seed=$SLURM_ARRAY_TASK_ID "
            f"runner.requests_per_minute={60 * per_s} runner.share_limits=true output_root={root}"
        )
        subprocess.run(
            ["sbatch", "--wait", "--array=0-1", f"--output={root}-%a", f"--wrap={command}"],
            env={**os.environ, **server.env},
            check=False,
            stdout=subprocess.DEVNULL,
            timeout=PATIENCE_S,
        )
        stats = server.stats()
    refused = stats["statuses"].get("429", 0)
    share = (stats["requests"] - 1) / stats["span_s"] / per_s
    yield Figure(
        f"Slurm, sbatch --array of two plain runs, {60 * per_s:,} requests/min together",
        f"{stats['requests']} requests, {share:.0%} of the limit, {refused} 429s",
        f"{CELLS * SAMPLES}; at most 105%; none",
        stats["requests"] == CELLS * SAMPLES and share <= 1.05 and not refused,
    )


def main() -> int:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # by a shell's &, and for all children
        signal.signal(signal.SIGINT, signal.default_int_handler)
    met = True
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        for figure in slurm(Bench(Path(folder))):
            met &= figure.met
            print(figure.line, flush=True)  # noqa: T201
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
