"""What a run costs: ``make bench`` prints a table and writes ``outputs/bench.json``.

Each command is a process of its own, measured as a whole; the provider is one too. Figures with a
bound are ratios within one run on one machine. ``bench.py slots batch`` measures these parts only.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from measure import Bench

sys.path.append(str(Path(__file__).parent.parent))  # `support` is found there, as by pytest

import cells
import costs
import faults
import memory
import pace
import page
import pool
import reading
import scale
import viewing
import workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from measure import Figure

REPORT = Path("outputs/bench.json")
PARTS: dict[str, Callable[[Bench], Iterator[Figure]]] = {
    part.__name__: part
    for part in (
        *(costs.start_up, costs.cpu, costs.tracking, costs.latency, costs.size),
        *(pace.slots, pace.queue, pace.batch, pace.free),
        *(pace.told, pace.untold, pace.configured, pace.tokens),
        *(faults.errors, faults.waits, faults.refused, faults.nginx_limit, faults.outage),
        *(pool.pool, cells.joblib, memory.edited, memory.finished),
        *(reading.checked, reading.resumed, viewing.view),
        *(page.page, scale.large, scale.sealed, workers.ray),
    )
}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("part", nargs="*", help=f"of {', '.join(PARTS)}; all if none is named")
    chosen = arguments.parse_args().part or list(PARTS)
    if unknown := set(chosen) - set(PARTS):
        arguments.error(f"no such part: {', '.join(sorted(unknown))}")
    table = Table("what", "measured", "bound", "")
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        for figure in (figure for name in chosen for figure in PARTS[name](bench)):
            figures.append(figure)
            verdict = "ok" if figure.met else "SHORT"
            table.add_row(figure.what, figure.measured, figure.bound, verdict)
            print(figure.line, file=sys.stderr)  # noqa: T201
    Console(width=160).print(table)
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(json.dumps([asdict(figure) for figure in figures], indent=2))


if __name__ == "__main__":
    main()
