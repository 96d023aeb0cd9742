"""A dataset in shards and a run directory in parts, on disk, for feeds without a run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from lm_eval_so.runner.config.schema import DatasetConfig
from lm_eval_so.runner.dataset.check import check
from lm_eval_so.runner.dataset.selection import Selection
from lm_eval_so.runner.dataset.shards import Shard, ShardReader, cut
from lm_eval_so.runner.dataset.source import locate
from lm_eval_so.runner.masking.redactor import Redactor
from lm_eval_so.runner.models import RunConfig
from lm_eval_so.runner.request.build import RequestBuilder
from lm_eval_so.runner.run.recorder import Recorder
from lm_eval_so.runner.run.results import Watch
from lm_eval_so.runner.run.shard_feed import Leases, ShardFeed, ShardQuestions
from lm_eval_so.runner.store.parts.board import Board
from lm_eval_so.runner.store.parts.join import lines_of
from lm_eval_so.runner.store.parts.layout import ShardRow, ShardsFile
from lm_eval_so.runner.store.parts.part import Part, seal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lm_eval_so.runner.store.parts.layout import Marker
    from lm_eval_so.runner.store.parts.lease import Asked, Lease

CONFIG = RunConfig(backend="b", model="m")


class Sharded:
    """So many samples, cut into shards of one size.

    Attributes:
        run_dir: Where its parts are.
        told: Ids of the results that were written, over all feeds.
        opened: The leases whose parts were opened.
    """

    def __init__(self, folder: Path, samples: int, size: int, repeats: int = 1) -> None:
        data = folder / "data.jsonl"
        rows = (
            {"id": f"s{n}", "messages": [{"role": "user", "content": f"question {n}"}]}
            for n in range(samples)
        )
        data.write_text("".join(json.dumps(row) + "\n" for row in rows))
        self.samples, self.repeats = samples, repeats
        self.run_dir = folder / "run"
        self.run_dir.mkdir()
        self._reader = locate(DatasetConfig(path=data)).reader
        checked = check(self._reader)
        self._shards = cut(self._reader, samples, size, checked.sha256)
        self._size = size
        self.requests = RequestBuilder(CONFIG, endpoint="", defaults={}, repeats=repeats)
        self._file = ShardsFile(
            dataset_sha256=checked.sha256,
            stamp=None,
            recipe="",
            repeats=repeats,
            samples=samples,
            shards=tuple(ShardRow(one.first, one.count, one.sha256) for one in self._shards),
        )
        self.told: list[str] = []
        self.opened: list[Lease] = []

    def feed(self, leases: Leases, stopping: Callable[[], bool] = lambda: False) -> ShardFeed:
        """A feed of its own reader, as another process has it."""
        questions = ShardQuestions(
            ShardReader(self._reader),
            self._shard_at,
            self.requests,
            Selection(of=self.samples, selected=self.samples),
        )

        async def told(result: Any) -> None:  # noqa: ANN401 - a result, or what reads one
            self.told.append(getattr(result, "sample_id", ""))

        recorder = Recorder("d", [CONFIG] * self.repeats)
        return ShardFeed(questions, leases, recorder, Watch(stopping, told))

    def _shard_at(self, position: int) -> Shard:
        return self._shards[position // self._size]

    def board(self) -> Board:
        """What is on disk now."""
        return Board(self.run_dir, self._file)

    def results(self) -> list[str]:
        """Ids of the sealed results, in the order in which they stand."""
        return [
            json.loads(line)["sample_id"] for one in self.board().pieces() for line in lines_of(one)
        ]

    def open_part(self, lease: Lease) -> Part:
        """See `engine.remote.leases.Parts`."""
        self.opened.append(lease)
        part = Part(self.run_dir, lease, self.repeats, Redactor())
        part.take_over(self.board().sources(lease.range))
        return part

    def seal(self, marker: Marker) -> None:
        """See `engine.remote.leases.Parts`."""
        seal(self.run_dir, marker)

    def close_part(self, part: Part) -> None:
        """See `engine.remote.leases.Parts`."""
        part.sync()
        part.close()


class LeasesOf:
    """Hands out leases that a test has made."""

    def __init__(self, sharded: Sharded, *leases: Lease) -> None:
        self._sharded, self._leases = sharded, iter(leases)
        self.sealed: list[Lease] = []

    async def next(self) -> tuple[Lease, Part] | None:
        lease = next(self._leases, None)
        return None if lease is None else (lease, self._sharded.open_part(lease))

    def seal(self, part: Part, asked: Asked, unasked: int) -> None:
        marker = part.put_in_order(asked, unasked)
        if marker is not None:
            self._sharded.seal(marker)
        self.sealed.append(part.lease)
