"""What ``view`` takes for a large run: the first look, the next one, and answers that just came."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from measure import Figure
from memory import MOST, command, finish, write

if TYPE_CHECKING:
    from collections.abc import Iterator

    from measure import Bench

_VIEW = "import sys; from lm_eval_so.report.view.cli import main; sys.exit(main(sys.argv[1:]))"
_MB = 1 << 20


class Viewer(NamedTuple):
    """A running ``view``."""

    url: str
    pid: int

    def get(self, path: str) -> bytes:
        """What is at a path, once it is there."""
        while True:
            try:
                with urllib.request.urlopen(self.url + path) as answer:  # noqa: S310 - ours
                    return bytes(answer.read())
            except urllib.error.HTTPError as error:
                if error.code != 503:  # the index is being built
                    raise
                time.sleep(0.05)

    @property
    def peak_mb(self) -> float:
        """The most memory that it has had so far."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        (peak,) = (int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
        return peak / 1024


@contextmanager
def viewer(folder: Path, cache: Path) -> Iterator[Viewer]:
    """Serves a folder."""
    with subprocess.Popen(
        [sys.executable, "-c", _VIEW, folder, "--port", "0"],
        env={**os.environ, "XDG_CACHE_HOME": str(cache)},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            yield Viewer(process.stdout.readline().split(" at ")[1].split()[0], process.pid)
        finally:
            process.terminate()


def view(bench: Bench, count: int = MOST) -> Iterator[Figure]:
    """A run of a million results; the same from what was kept; and one more answer."""
    path, run, cache = (
        bench.folder / "viewed.jsonl",
        bench.folder / "viewed",
        bench.folder / "cache",
    )
    write(path, 1)
    command(path, run)
    write(path, count)
    finish(path, run)
    with viewer(run, cache) as served:
        seconds, manifest = _page_data(served)
        assert manifest["rows"] == count
        yield Figure(
            f"view: first look at {count:,} results",
            f"{seconds:.1f} s, peak {served.peak_mb:.0f} MB",
            "at most 25 s, 200 MB",
            seconds <= 25 and served.peak_mb <= 200,
        )
    with viewer(run, cache) as served:
        seconds, _ = _page_data(served)
        yield Figure(
            f"view: next look at {count:,} results, after a restart",
            f"{seconds:.2f} s, peak {served.peak_mb:.0f} MB",
            "at most 1 s",
            seconds <= 1,
        )
        _grown(served, run, "new 1")  # what was kept becomes a board that grows
        seconds = _grown(served, run, "new 2")
        yield Figure(
            f"view: a new answer beside {count:,} others",
            f"{seconds:.1f} s, peak {served.peak_mb:.0f} MB",
            "at most 2 s, 200 MB",
            seconds <= 2 and served.peak_mb <= 200,
        )


def _page_data(served: Viewer) -> tuple[float, dict[str, Any]]:
    """Seconds until all is there that a page needs to show its first rows."""
    began = time.perf_counter()
    manifest = json.loads(served.get("manifest.json"))
    served.get(f"index.bin?r={manifest['revision']}")
    served.get(f"block/{manifest['blocks'] // 2}?r={manifest['revision']}")
    return time.perf_counter() - began, manifest


def _grown(served: Viewer, run: Path, sample_id: str) -> float:
    """Seconds until a page that asks each second, as ours does, has a line that was added."""
    results = run / "run_results.jsonl"
    with results.open("rb") as file:
        line = json.loads(file.readline())
    revision = served.get("revision")
    began = time.perf_counter()
    with results.open("ab") as file:
        file.write(json.dumps({**line, "sample_id": sample_id}).encode() + b"\n")
    while served.get("revision") == revision:
        time.sleep(1)
    _page_data(served)
    return time.perf_counter() - began
