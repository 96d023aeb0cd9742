"""What a run costs: ``make bench`` prints a table and writes ``outputs/bench.json``.

Each command is a process of its own, measured as a whole; the provider is one too. Figures with a
target are ratios within one run on one machine.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
BIN = Path(sys.executable).parent
REPORT = Path("outputs/bench.json")
EMPTY_APP = """
import hydra
@hydra.main(version_base="1.3", config_path=None)
def main(config): pass
main()
"""
LOGNORMAL = {"latency_s": 0.2, "sigma": 0.6}


@dataclass(frozen=True)
class Figure:
    """A line of the table."""

    what: str
    measured: str
    target: str
    met: bool | None = None


@dataclass(frozen=True)
class Cost:
    """What a process took: seconds of CPU and of time, and its peak memory in MB."""

    cpu_s: float
    wall_s: float
    peak_mb: float


@dataclass(frozen=True)
class Provider:
    """A running fake provider."""

    base_url: str

    def stats(self) -> dict[str, Any]:
        url = self.base_url.replace("/v1", "/stats")
        with urllib.request.urlopen(url) as answer:  # noqa: S310 - our own
            return json.load(answer)


@contextmanager
def provider(**behaviour: float) -> Iterator[Provider]:
    with subprocess.Popen(
        [sys.executable, HERE / "server.py", json.dumps(behaviour)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield Provider(f"http://127.0.0.1:{int(process.stdout.readline())}/v1")
        process.stdin.close()


def cost(*command: object, **environment: str) -> Cost:
    began = time.perf_counter()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            [str(part) for part in command],
            env={**os.environ, **environment},
            stdout=output,
            stderr=output,
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            output.seek(0)
            raise RuntimeError(output.read().decode())
    wall = time.perf_counter() - began
    return Cost(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024)


class Bench:
    """Runs the benchmarks in a folder that goes away."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.runs = 0

    def dataset(self, count: int, *, uneven: bool = False) -> Path:
        """Samples; ``uneven`` ones are of very different lengths."""
        path = self.folder / f"{count}{'-uneven' * uneven}.jsonl"
        chance = random.Random(3)
        if not path.exists():
            with path.open("w") as file:
                for n in range(count):
                    words = int(chance.lognormvariate(4, 1)) if uneven else 5
                    messages = [{"role": "user", "content": f"question {n} " + "word " * words}]
                    file.write(json.dumps({"id": f"s{n}", "messages": messages}) + "\n")
        return path

    def ours(self, dataset: Path, server: Provider, *overrides: str, run: str = "") -> Cost:
        self.runs += 1
        return cost(
            BIN / "lm-eval-so",
            *("backend=openai", "model=fake", "dataset=path", f"dataset.path={dataset}"),
            *(f"output_dir={self.folder / (run or str(self.runs))}", "runner.progress=none"),
            *overrides,
            OPENAI_BASE_URL=server.base_url,
            OPENAI_API_KEY="sk-0123456789",
        )

    def cpu(self) -> Iterator[Figure]:
        """The slope between 2,000 and 20,000 samples, beside the bare loop's."""
        small, large = self.dataset(2000), self.dataset(20_000)
        ours, bare = [], []
        with provider() as server:
            for size in (small, large):
                out = self.folder / "bare.jsonl"
                loop = (sys.executable, HERE / "bare_loop.py", size, server.base_url, out, 64)
                bare.append(min(cost(*loop).cpu_s for _ in range(3)))
                fixed = "runner.max_concurrency=64"
                ours.append(min(self.ours(size, server, fixed).cpu_s for _ in range(3)))
        slopes = [(second - first) / 18 for first, second in (ours, bare)]
        ratio = slopes[0] / slopes[1]
        measured = f"{slopes[0]:.3f} ms, bare loop {slopes[1]:.3f} ms: {ratio:.2f} times"
        yield Figure("CPU per request", measured, "at most 2.0 times", ratio <= 2)

    def tracking(self) -> Iterator[Figure]:
        """What MLflow adds: by the request (slope up to 10,000 samples), and once for the run.

        All processes are counted; the database is there already.
        """
        sizes = (self.dataset(1000), self.dataset(10_000))
        mlflow = ("tracking=mlflow", f"tracking.uri=sqlite:///{self.folder}/mlflow.db")
        spent: dict[tuple[bool, int], list[float]] = defaultdict(list)
        with provider() as server:
            self.ours(sizes[0], server, *mlflow)
            for _ in range(7):
                for n, size in enumerate(sizes):
                    for tracked in (False, True):
                        fixed = ("runner.max_concurrency=64", *(mlflow if tracked else ()))
                        spent[tracked, n].append(self.ours(size, server, *fixed).cpu_s)
        least = {key: min(values) for key, values in spent.items()}
        plain, tracked = ((least[how, 1] - least[how, 0]) / 9 for how in (False, True))
        once = least[True, 0] - least[False, 0]
        yield Figure(
            "CPU per request with tracking=mlflow",
            f"{tracked:.3f} ms, without {plain:.3f} ms: {tracked / plain - 1:+.1%}; "
            f"once for the run {once:.1f} s",
            "at most +5%",
            tracked / plain <= 1.05,
        )

    def limits(self) -> Iterator[Figure]:
        """Time under a limit beside the time that the limit dictates."""
        requests = {"requests_per_minute": 3000, **LOGNORMAL}
        tokens = {"tokens_per_minute": 200_000, **LOGNORMAL}
        for name, behaviour, uneven in (
            ("3,000 requests/min", requests, False),
            ("200,000 tokens/min", tokens, True),
        ):
            limit = next(iter(behaviour))
            for configured in (False, True):
                options = [f"runner.{limit}={behaviour[limit]}"] if configured else []
                with provider(**behaviour) as server:
                    self.ours(self.dataset(1000, uneven=uneven), server, *options)
                    stats = server.stats()
                rate = behaviour[limit] / 60
                total = stats["tokens"] if uneven else 1000
                ratio = stats["span_s"] / ((total - rate) / rate)
                refused = stats["statuses"].get("429", 0) / stats["requests"]
                most = (1.05, 0.005) if configured else (1.10, 0.03)
                how = "configured" if configured else "learned"
                yield Figure(
                    f"{name}, {how}, 1,000 samples",
                    f"{stats['span_s']:.1f} s, {ratio:.3f} of the limit's; {refused:.1%} 429s",
                    f"at most {most[0]:.2f}; {most[1]:.1%}",
                    ratio <= most[0] and refused <= most[1],
                )

    def latency(self) -> Iterator[Figure]:
        """A constant latency of 200 ms, 64 at once, beside the bare loop."""
        dataset, spans = self.dataset(2000), []
        with provider(latency_s=0.2) as server:
            self.ours(dataset, server, "runner.max_concurrency=64")
            spans.append(server.stats()["span_s"])
        with provider(latency_s=0.2) as server:
            out = self.folder / "bare.jsonl"
            cost(sys.executable, HERE / "bare_loop.py", dataset, server.base_url, out, 64)
            spans.append(server.stats()["span_s"])
        ours, bare = (span / (2000 * 0.2 / 64) for span in spans)
        yield Figure(
            "2,000 samples of 200 ms, 64 at once",
            f"{ours:.3f} of n * latency / 64, bare loop {bare:.3f}",
            "at most 1.03",
            ours <= 1.03,
        )

    def slots(self) -> Iterator[Figure]:
        """A server that takes 32 at once, and answers 503 beyond."""
        spans, shares = [], []
        for concurrency in ("32", "auto"):
            with provider(slots=32, latency_s=0.2) as server:
                options = (f"runner.max_concurrency={concurrency}", "runner.max_retries=8")
                self.ours(self.dataset(2000), server, *options)
                stats = server.stats()
                spans.append(stats["span_s"])
                shares.append(stats["statuses"].get("503", 0) / stats["requests"])
        share = spans[0] / spans[1]
        yield Figure(
            "auto on a server of 32 slots",
            f"{share:.0%} of a fixed 32's throughput; {shares[1]:.1%} 503s",
            "at least 90%; at most 5%",
            share >= 0.9 and shares[1] <= 0.05,
        )

    def size(self) -> Iterator[Figure]:
        """Memory, and the resume of what is finished."""
        with provider() as server:
            small, large = (
                self.ours(self.dataset(count), server, run=f"size-{count}")
                for count in (10_000, 100_000)
            )
            before = server.stats()["requests"]
            again = self.ours(self.dataset(100_000), server, run="size-100000")
            sent = server.stats()["requests"] - before
        more = large.peak_mb - small.peak_mb
        yield Figure(
            "peak memory, 100,000 samples",
            f"{large.peak_mb:.0f} MB, {more:+.0f} MB over 10,000",
            "under 150 MB, at most +10 MB",
            large.peak_mb < 150 and more <= 10,
        )
        yield Figure(
            "resume of 100,000 finished",
            f"{again.cpu_s:.1f} s of CPU, {sent} requests",
            "under 3 s, nothing sent",
            again.cpu_s < 3 and not sent,
        )

    def start_up(self) -> Iterator[Figure]:
        """``--help`` beside that of an empty Hydra app."""
        app = self.folder / "empty.py"
        app.write_text(EMPTY_APP)
        ours = min(cost(BIN / "lm-eval-so", "--help").cpu_s for _ in range(7))
        empty = min(cost(sys.executable, app, "--help").cpu_s for _ in range(7))
        yield Figure(
            "lm-eval-so --help",
            f"{ours:.2f} s of CPU, an empty Hydra app {empty:.2f} s",
            "at most 0.2 s more",
            ours - empty <= 0.2,
        )


def main() -> None:
    table = Table("what", "measured", "target", "")
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        for part in (
            *(bench.start_up, bench.cpu, bench.tracking, bench.limits, bench.latency),
            *(bench.slots, bench.size),
        ):
            for figure in part():
                figures.append(figure)
                table.add_row(
                    figure.what, figure.measured, figure.target, "ok" if figure.met else "MISSED"
                )
                print(f"{figure.what}: {figure.measured}", file=sys.stderr)  # noqa: T201
    Console(width=140).print(table)
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(json.dumps([asdict(figure) for figure in figures], indent=2))


if __name__ == "__main__":
    main()
