"""Whether the results of a run are in parts, and how its dataset is cut for that."""

import hashlib
from pathlib import Path

from lm_eval_so.runner.config.identity import canonical_json
from lm_eval_so.runner.dataset.base import Place
from lm_eval_so.runner.dataset.shards import Shard, cut
from lm_eval_so.runner.engine.coordinator.shards import shard_size
from lm_eval_so.runner.models import TestSample
from lm_eval_so.runner.request.build import RequestBuilder
from lm_eval_so.runner.run.feed import OwedFeed, Questions
from lm_eval_so.runner.run.prepare import Prepared
from lm_eval_so.runner.store.directory import RunDirectory
from lm_eval_so.runner.store.parts.join import note_joined
from lm_eval_so.runner.store.parts.layout import ShardRow, ShardsFile, read_joined, read_shards
from lm_eval_so.runner.store.parts.taken_in import has_shards
from lm_eval_so.runner.store.results import RESULTS
from lm_eval_so.runner.summary.summarise import Totals

_SIZE = 1_000
"""Samples of a shard: what a crash of everything can cost to read again, and a file of some MB."""
_ANY = TestSample.model_validate({"id": "-", "messages": [{"role": "user", "content": "-"}]})


def is_in_parts(prepared: Prepared) -> bool:
    """Whether a run keeps its results in parts.

    It does where the dataset is large, and where an earlier command has begun so.

    Raises:
        NewerVersionError: A newer release wrote the directory.
        StoreError: A file in it is damaged.
    """
    plan = prepared.plan
    return prepared.whole > plan.store.parts_above or _cut_before(prepared) is not None


def shards_of(prepared: Prepared) -> ShardsFile:
    """How the dataset is cut: as before, where it is the same one and is asked the same.

    Raises:
        DatasetError: It cannot be read.
        LmEvalError: As `is_in_parts`.
    """
    before = read_shards(prepared.directory) if _cut_before(prepared) else None
    plan, checked = prepared.plan, prepared.dataset
    stamp = repr(checked.stamp)
    if before is not None and before.stamp == stamp:
        return before
    size = before.shards[0].count if before else plan.store.shard_size or _size(prepared)
    return ShardsFile(
        dataset_sha256=checked.sha256,
        stamp=stamp,
        recipe=_recipe(prepared),
        repeats=plan.repeats,
        samples=checked.count,
        shards=tuple(map(_row, cut(prepared.source.reader, checked.count, size, checked.sha256))),
    )


def _size(prepared: Prepared) -> int:
    """Fewer where many workers share them, or slow ones would leave a long tail."""
    return min(_SIZE, shard_size(prepared.dataset.count, prepared.plan.engine.workers or 1))


def shard_of(row: ShardRow) -> Shard:
    """The shard that stands in a row."""
    if row.file is None or row.at is None or row.number is None:
        return Shard(row.first, row.count, None, row.sha256)
    return Shard(row.first, row.count, Place(row.file, row.at, row.number), row.sha256)


def adopt(prepared: Prepared, shards: ShardsFile) -> None:
    """Makes of a directory with one results file one in parts; nothing is copied twice.

    The file is put in order, and ``joined.json`` says which of its bytes are which shard's. So are
    parts that were cut in another way, or of which it is not known how. Where the directory is new,
    or in these parts already, nothing is done.

    Raises:
        LmEvalError: As `RunDirectory`.
    """
    results = prepared.directory / RESULTS
    before = _cut_before(prepared)
    if before is not None and before.ranges == shards.ranges:
        return
    if not results.exists() and not has_shards(prepared.directory):
        return
    placed = prepared.placed
    totals = Totals()
    with RunDirectory(
        prepared.directory, placed.identity, prepared.whole, placed.redactor, placed.asked
    ) as directory:
        _pass_over(prepared, directory)
        directory.put_in_order(totals.add)
        repeats, has_line = shards.repeats, directory.ledger.has_line
        ranges = [
            (
                each,
                each.count * repeats,
                sum(map(has_line, range(each.first * repeats, each.end * repeats))),
            )
            for each in shards.ranges
        ]
        note_joined(prepared.directory, ranges, totals)


def _pass_over(prepared: Prepared, directory: RunDirectory) -> None:
    questions = Questions(
        prepared.memory.read(prepared.source.reader, prepared.dataset),
        prepared.requests,
        prepared.selection,
    )

    async def told(_offset: int) -> None:
        """Nobody is: the run itself tells of answers."""

    OwedFeed(questions, directory.ledger, stopping=lambda: False, answered_before=told).pass_over()


def _cut_before(prepared: Prepared) -> ShardsFile | None:
    """What an earlier command cut, if the dataset and what is asked of it are the same."""
    found = read_shards(prepared.directory)
    if found is None or not _is_known(prepared.directory):
        return None
    same = (
        found.dataset_sha256 == prepared.dataset.sha256
        and found.repeats == prepared.plan.repeats
        and found.recipe == _recipe(prepared)
    )
    return found if same else None


def _is_known(run_dir: Path) -> bool:
    """Whether the results file is empty, or what parts were joined to."""
    results = run_dir / RESULTS
    if not results.exists() or not results.stat().st_size:
        return True
    return read_joined(run_dir) is not None


def _recipe(prepared: Prepared) -> str:
    """Digest of all that decides request keys, but for the samples."""
    plan, backend = prepared.plan, prepared.backend
    requests = RequestBuilder(
        plan.run_config, endpoint=backend.endpoint, defaults=backend.defaults, repeats=plan.repeats
    )
    prompt = prepared.placed.prompt
    decides = {
        "keys": [requests.key(_ANY, repeat) for repeat in range(plan.repeats)],
        "prompt": None if prompt is None else prompt.record.digest,
    }
    return hashlib.sha256(canonical_json(decides)).hexdigest()


def _row(shard: Shard) -> ShardRow:
    place = shard.place
    if place is None:
        return ShardRow(shard.first, shard.count, shard.sha256)
    return ShardRow(shard.first, shard.count, shard.sha256, place.file, place.at, place.number)
