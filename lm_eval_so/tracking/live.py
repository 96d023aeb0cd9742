"""How a run stands, by the lines of its results file."""

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from lm_eval_so.runner.errors import StoreError
from lm_eval_so.runner.hash_index import HashIndex
from lm_eval_so.runner.store.line import Whole
from lm_eval_so.runner.store.parts.truth import Segment
from lm_eval_so.runner.store.results import RESULTS
from lm_eval_so.runner.store.segments import segments
from lm_eval_so.runner.summary.summarise import Summary, Totals

DONE = "live/done"
_SHOWN = ("p50", "p90", "p99")


class Lines:
    """The results of a run that goes on, each of them once.

    A part is read when it grows, and once more when it is sealed, if that put its lines into
    another order; what was there before is told by 16 bytes a line.
    """

    def __init__(self, run_dir: Path) -> None:
        self._run_dir = run_dir
        self.restart()

    def restart(self) -> None:
        """From here on the lines are read from their start, whatever they are in by then."""
        self._file = 0  # the inode of ``run_results.jsonl``
        self._offsets: dict[tuple[Path, int, int], int] = {}
        self._seen: HashIndex | None = None  # of a run in parts

    def new(self) -> Iterator[dict[str, Any]]:
        """Those that have come; none of a file that has taken the first one's place."""
        try:
            found = segments(self._run_dir)
        except (OSError, StoreError):  # it is being replaced
            return
        if [one.path for one in found] == [self._run_dir / RESULTS]:
            self._file = self._file or found[0].inode
            if self._seen is None and self._file == found[0].inode:
                yield from self._added(found[0])
        elif found:
            self._seen = HashIndex() if self._seen is None else self._seen
            for segment in found:
                yield from filter(self._is_new, self._added(segment))

    def _is_new(self, result: dict[str, Any]) -> bool:
        """Whether it is not a copy in another part."""
        assert self._seen is not None  # noqa: S101 - in parts
        line = tuple(map(result.get, ("sample_id", "repeat", "request_key", "completed_at")))
        is_new = self._seen.get(line) is None
        self._seen[line] = 1
        return is_new

    def _added(self, segment: Segment) -> Iterator[dict[str, Any]]:
        place = segment.path, segment.inode, segment.start
        offset = self._offsets.get(place, segment.start)
        if offset >= segment.end:
            return
        with suppress(FileNotFoundError), segment.path.open("rb") as file:
            if segment.inode not in {0, os.fstat(file.fileno()).st_ino}:
                return
            file.seek(offset)
            for line in file:
                offset += len(line)
                if not line.endswith(b"\n") or offset > segment.end:
                    return
                self._offsets[place] = offset
                try:
                    result = orjson.loads(line)
                except orjson.JSONDecodeError:
                    continue  # torn by a full disk or a kill
                if isinstance(result, dict) and result.keys() >= Whole.__required_keys__:
                    yield result


class LiveMetrics:
    """Adds up the results of one command, which began at ``started_at``."""

    def __init__(self, run_dir: Path, started_at: datetime) -> None:
        self._lines = Lines(run_dir)
        self._started_at = started_at
        self._totals = Totals()
        self._answered_before = 0
        self._last = (time.monotonic(), 0.0, 0.0)

    def read(self) -> dict[str, float]:
        """How it stands now."""
        for line in self._lines.new():
            if datetime.fromisoformat(line["completed_at"]) >= self._started_at:
                self._totals.add(line)
            elif line["status"] == "ok":  # what has failed is asked again
                self._answered_before += 1
        metrics = live_metrics(self._totals.summary(0))
        before, self._last = self._last, (time.monotonic(), metrics[DONE], metrics["live/tokens"])
        seconds, results, tokens = (n - b for n, b in zip(self._last, before, strict=True))
        metrics["live/results_per_s"] = results / max(seconds, 1e-9)
        metrics["live/tokens_per_s"] = tokens / max(seconds, 1e-9)
        metrics[DONE] += self._answered_before
        return metrics


def live_metrics(summary: Summary) -> dict[str, float]:
    """What of a summary is shown while a run goes on."""
    counts, latency = summary.status_counts, summary.latency_ms or {}
    done = sum(n for status, n in counts.items() if status != "owed")
    return {
        DONE: done,
        "live/failed": done - counts.get("ok", 0),
        "live/tokens": summary.tokens["total"],
        **({"live/cost_usd": summary.cost_usd} if summary.cost_usd else {}),
        **{f"live/latency_ms.{name}": latency[name] for name in _SHOWN if name in latency},
    }
