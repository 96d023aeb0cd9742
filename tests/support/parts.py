"""A finished run directory is turned into one in parts, as a run past one machine leaves it."""

from __future__ import annotations

import hashlib
import json
from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec

from lm_eval_so.runner.store.line import read_whole
from lm_eval_so.runner.store.parts import layout
from lm_eval_so.runner.summary.summarise import Totals

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

RESULTS = "run_results.jsonl"


def into_parts(
    run_dir: Path, cuts: Sequence[int], *, sealed: bool = True, joined: Sequence[int] = ()
) -> None:
    """Cuts the results, one line a sample, at these positions.

    Args:
        run_dir: The run directory.
        cuts: Where each shard but the first begins.
        sealed: Whether the parts have their markers.
        joined: Numbers of the shards that stay in the results file.
    """
    lines = (run_dir / RESULTS).read_bytes().splitlines(keepends=True)
    bounds = list(pairwise([0, *cuts, len(lines)]))
    write_shards(run_dir, bounds)
    (run_dir / RESULTS).unlink()
    kept = []
    for number, (first, end) in enumerate(bounds):
        own = lines[first:end]
        if number in joined:
            kept.append((first, own))
        else:
            write_part(run_dir, first, number + 1, own)
            if sealed:
                seal(run_dir, first, end - first, number + 1)
    if kept:
        write_joined(run_dir, kept)


def write_shards(run_dir: Path, bounds: Sequence[tuple[int, int]]) -> None:
    """``shards.json`` of ranges; their places are not looked at."""
    shards = layout.ShardsFile(
        dataset_sha256="d" * 64,
        stamp=None,
        recipe="r",
        repeats=1,
        samples=bounds[-1][1],
        shards=tuple(layout.ShardRow(first, end - first, "") for first, end in bounds),
    )
    (run_dir / layout.SHARDS).write_bytes(shards.to_json())
    (run_dir / layout.PARTS).mkdir(exist_ok=True)


def write_part(run_dir: Path, first: int, epoch: int, lines: Sequence[bytes]) -> Path:
    """A part, which is replaced if it is there."""
    path = run_dir / layout.PARTS / layout.part_name(first, epoch)
    path.write_bytes(b"".join(lines))
    return path


def seal(run_dir: Path, first: int, count: int, epoch: int) -> None:
    """The marker of a part."""
    text = (run_dir / layout.PARTS / layout.part_name(first, epoch)).read_bytes()
    totals = Totals(first)
    found = [read_whole(line) for line in text.splitlines(keepends=True)]
    for each in found:
        totals.add(each)
    marker = layout.Marker(
        first=first,
        count=count,
        epoch=epoch,
        bytes=len(text),
        sha256=hashlib.sha256(text).hexdigest(),
        lines=len(found),
        ok=sum(each["status"] == "ok" for each in found),
        totals=msgspec.Raw(json.dumps(totals.state()).encode()),
    )
    (run_dir / layout.PARTS / layout.marker_name(first)).write_bytes(marker.to_json())


def write_joined(run_dir: Path, kept: Sequence[tuple[int, Sequence[bytes]]]) -> None:
    """The results file of some shards, and what tells where they are."""
    path = run_dir / RESULTS
    path.write_bytes(b"".join(line for _, lines in kept for line in lines))
    rows, end = [], 0
    for first, lines in kept:
        end += sum(map(len, lines))
        ok = sum(read_whole(line)["status"] == "ok" for line in lines)
        rows.append(layout.JoinedRow(first, len(lines), end, len(lines), ok))
    state = path.stat()
    joined = layout.JoinedFile(
        size=state.st_size,
        modified_ns=state.st_mtime_ns,
        inode=state.st_ino,
        shards=tuple(rows),
    )
    (run_dir / layout.JOINED).write_bytes(joined.to_json())
