"""A long run with mixed faults under a limit: ``make soak``, or ``soak.py --minutes 1``.

6,000 requests/min told by headers; 12% of the requests get an error, a broken body or a reset. The
default config, unless overrides follow. A command that ends with failed samples is given again, as
a user would do.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from measure import Bench, Figure, provider

if TYPE_CHECKING:
    from collections.abc import Iterator

PER_S = 100
FAULTS = {
    "error_share": 0.06,
    "error_statuses": (500, 502, 503, 529),
    "garbage_share": 0.03,
    "reset_share": 0.03,
}
ANSWERED = 0.88
COMMANDS = 5
"""Given at most so often, until every sample has its answer."""
EVERY_S = 2.0
GROWTH_MB = 5


class Memory:
    """Reads the resident memory of a process, in MB, every few seconds until it ends."""

    def __init__(self, pid: int) -> None:
        self.status = Path(f"/proc/{pid}/status")
        self.seen: list[float] = []
        self.over = threading.Event()
        threading.Thread(target=self.watch, daemon=True).start()

    def watch(self) -> None:
        while not self.over.wait(EVERY_S):
            try:
                lines = self.status.read_text().splitlines()
            except OSError:
                return
            self.seen += [int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS")]

    def growth(self) -> float:
        """From the highest of the second quarter to the highest of the last.

        The first quarter is left out, since that is when pools and caches fill.
        """
        quarter = len(self.seen) // 4
        if not quarter:
            return 0.0
        return max(self.seen[-quarter:]) - max(self.seen[quarter : 2 * quarter])


def soak(bench: Bench, minutes: float, overrides: list[str]) -> Iterator[Figure]:
    count = int(PER_S * minutes * 60 * ANSWERED)
    memories: list[Memory] = []
    how = {"run": "soak", "started": lambda pid: memories.append(Memory(pid))}
    dataset = bench.dataset(count)
    limit = {"requests_per_minute": 60 * PER_S, "latency_s": 0.5, "sigma": 0.5}
    with provider(**limit, **FAULTS) as server:
        runs = [bench.ours(dataset, server, *overrides, **how)]
        stats = server.stats()
        while runs[-1].not_ok and len(runs) < COMMANDS:
            runs.append(bench.ours(dataset, server, *overrides, **how))
        books = server.stats()["answers"]
    memories[0].over.set()
    yield throughput(stats)
    yield flat(memories[0])
    yield once(books, count, [run.not_ok for run in runs])


def throughput(stats: dict[str, Any]) -> Figure:
    """Requests that the limit let through, of as many as it would have; the burst is given."""
    through = stats["requests"] - stats["statuses"].get("429", 0)
    share = (through - PER_S) / (stats["span_s"] * PER_S)
    return Figure(
        f"{stats['requests']:,} requests, 12% mixed faults, 6,000 requests/min",
        f"{share:.1%} of the limit; {stats['statuses'].get('429', 0)} 429s",
        "at least 95%",
        share >= 0.95,
    )


def flat(memory: Memory) -> Figure:
    """More than a few MB over three quarters of the run would be a leak."""
    highest = max(memory.seen, default=0.0)
    return Figure(
        "memory while it runs",
        f"{memory.growth():+.1f} MB from the second quarter to the last, {highest:.0f} MB at most",
        f"at most +{GROWTH_MB} MB",
        memory.growth() <= GROWTH_MB,
    )


def once(books: dict[str, int], count: int, not_ok: list[int]) -> Figure:
    return Figure(
        "each question answered once, by the server's own books",
        f"{books['questions']:,} of {count:,}, {books['more_than_once']} more than once; "
        f"not ok after each command: {', '.join(map(str, not_ok))}",
        "all, once",
        books["questions"] == count and not books["more_than_once"],
    )


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--minutes", type=float, default=10.0)
    arguments.add_argument("override", nargs="*", help="of the config")
    chosen, met = arguments.parse_args(), True
    with tempfile.TemporaryDirectory() as folder:
        for figure in soak(Bench(Path(folder)), chosen.minutes, chosen.override):
            met &= figure.met
            print(figure.line, flush=True)  # noqa: T201
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
