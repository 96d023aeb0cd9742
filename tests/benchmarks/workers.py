"""Runs on a Ray cluster of two nodes on this machine: what a worker costs; a limit is kept."""

from __future__ import annotations

import os
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from measure import Figure, Served, provider
from pace import under_limit
from support.ray_cluster import Cluster, Driver

if TYPE_CHECKING:
    from collections.abc import Iterator

    from measure import Bench, Provider

FEW, MANY = 5000, 25_000
LIMITED = 6000
RATE = 300
TICKS = os.sysconf("SC_CLK_TCK")


def ray(bench: Bench) -> Iterator[Figure]:
    """The slope of a worker's CPU, beside that of one process; then 300 requests/s for two."""
    if find_spec("ray") is None:
        yield Figure("workers of a cluster", "left out: there is no Ray", "where it is", met=True)
        return
    with Cluster() as cluster:
        os.environ.update(cluster.env)
        yield cpu(bench, cluster)
        for at_once in ("64", "auto"):
            yield limited(bench, cluster, at_once)


def cpu(bench: Bench, cluster: Cluster) -> Figure:
    """CPU of the processes of workers, without their start; the driver hardly has any."""
    workers, alone = [], []
    with provider() as server:
        for count in (FEW, MANY):
            dataset = bench.dataset(count)
            fixed = "runner.max_concurrency=64"
            alone.append(min(bench.ours(dataset, server, fixed).cost.cpu_s for _ in range(3)))
            workers.append(min(cpu_of_workers(bench, cluster, server, dataset) for _ in range(3)))
    slopes = [(many - few) / (MANY - FEW) * 1000 for few, many in (workers, alone)]
    ratio = slopes[0] / slopes[1]
    return Figure(
        "CPU per request in two workers of a cluster",
        f"{slopes[0]:.3f} ms, in one process {slopes[1]:.3f} ms: {ratio:.2f} times",
        "at most 1.15 times",
        ratio <= 1.15,
    )


def limited(bench: Bench, cluster: Cluster, at_once: str) -> Figure:
    """A limit that the provider has too, and refuses above it."""
    options = [f"runner.rate_limit={RATE}", f"runner.max_concurrency={at_once}"]
    with provider(requests_per_minute=RATE * 60) as server:
        run = bench.ours(bench.dataset(LIMITED), server, *on(cluster), *options)
        served = Served(run, server.stats())
    what = f"{LIMITED:,} samples, two workers, {RATE} requests/s configured, {at_once} at once"
    return under_limit(what, served, (LIMITED - 1) / RATE, 1.06, 0.0)


def on(cluster: Cluster) -> list[str]:
    """Overrides for a run on it."""
    return ["engine=ray", f"engine.address={cluster.address}", "engine.workers=2"]


def cpu_of_workers(bench: Bench, cluster: Cluster, server: Provider, dataset: Path) -> float:
    """Seconds of CPU that the workers of a run had when they were last seen."""
    bench.runs += 1
    arguments = [
        *("backend=openai", "model=fake", "dataset=path", f"dataset.path={dataset}"),
        *(f"output_dir={bench.folder / str(bench.runs)}", f"output_root={bench.folder}"),
        *("runner.max_concurrency=64", *on(cluster)),
    ]
    seen: dict[int, float] = {}
    with Driver(arguments, server.env) as driver:
        while driver.process.poll() is None:
            for pid in cluster.workers():
                seen[pid] = max(seen.get(pid, 0.0), seconds_of(pid))
            time.sleep(0.05)
        if driver.process.returncode:
            raise RuntimeError(driver.said)
    return sum(seen.values())


def seconds_of(pid: int) -> float:
    """CPU of a process so far; 0 once it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICKS
