"""How a run stands, by the lines of its results file."""

import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from lm_eval_so.runner.store.line import Whole
from lm_eval_so.runner.summary.summarise import Summary, Totals

DONE = "live/done"
_SHOWN = ("p50", "p90", "p99")


class Lines:
    """The results in a file that grows, each of them once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.restart()

    def restart(self) -> None:
        """From here on the file is read from its start, whichever it is by then."""
        self._offset, self._file = 0, 0

    def new(self) -> Iterator[dict[str, Any]]:
        """Those that have come; none of a file that has taken the first one's place."""
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            self._file = self._file or self._path.stat().st_ino
            if self._file != self._path.stat().st_ino:
                return
            file.seek(self._offset)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                self._offset += len(line)
                try:
                    result = orjson.loads(line)
                except orjson.JSONDecodeError:
                    continue  # torn by a full disk or a kill
                if isinstance(result, dict) and result.keys() >= Whole.__required_keys__:
                    yield result


class LiveMetrics:
    """Adds up the results of one command, which began at ``started_at``."""

    def __init__(self, results: Path, started_at: datetime) -> None:
        self._lines = Lines(results)
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
