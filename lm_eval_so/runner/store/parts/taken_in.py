"""A directory in parts becomes one with a results file alone, which any question is found in."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from lm_eval_so.runner.store.parts import PARTS, SHARDS
from lm_eval_so.runner.store.parts.join import remove_folder
from lm_eval_so.runner.store.parts.layout import (
    JOINED,
    JOINED_NEXT,
    find_parts,
    part_name,
    read_shards,
)
from lm_eval_so.runner.store.parts.part import Source, whole_lines
from lm_eval_so.runner.store.results import RESULTS, ResultsFile
from lm_eval_so.runner.store.stored_line import StoredLine


def has_shards(run_dir: Path) -> bool:
    """Whether a command that worked by shards has left anything of its own.

    Raises:
        NewerVersionError: A newer release wrote it.
        StoreError: ``shards.json`` is damaged.
    """
    return read_shards(run_dir) is not None or (run_dir / PARTS).exists()


def lines_in_parts(run_dir: Path) -> Iterator[tuple[bytes, StoredLine]]:
    """The whole lines of all parts, those of the oldest lease first, without newlines.

    Raises:
        NewerVersionError: A newer release wrote one of them.
        StoreError: One cannot be read.
    """
    found = find_parts(run_dir)
    parts = found.epochs.items() if found else ()
    leases = sorted((epoch, first) for first, epochs in parts for epoch in epochs)
    for epoch, first in leases:
        yield from whole_lines(Source(run_dir / PARTS / part_name(first, epoch)))


def take_in(run_dir: Path) -> None:
    """Makes of a directory that is held, and in parts, one with a results file alone.

    Its lines are in no order, and a question may have several. Of any other nothing is changed. A
    kill at any moment loses nothing.

    Raises:
        NewerVersionError: A newer release wrote something.
        StoreError: A file cannot be read or written.
    """
    if not has_shards(run_dir):
        return
    results = ResultsFile(run_dir / RESULTS)
    try:
        results.mend()
        for line, _ in lines_in_parts(run_dir):
            results.append(line)
        results.sync()
    finally:
        results.close()
    remove_parts(run_dir)


def remove_parts(run_dir: Path) -> None:
    """Removes what a command by shards has left; its lines are in the results file, synced."""
    remove_folder(run_dir)  # first: without its lines, ``shards.json`` says nothing wrong
    for name in (JOINED, JOINED_NEXT, SHARDS):
        with suppress(OSError):  # none of them is of the results file that there will be
            (run_dir / name).unlink(missing_ok=True)
