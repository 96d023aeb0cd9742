"""The command that finishes what a merge has left open."""

import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

_FLAGS = frozenset({"--output-dir", "--limit", "--sample", "--select-seed"})
"""Of the door with flags, each with a value."""


def finishing(
    command: str | None, to: Path, dropped: Sequence[str], dataset: Path | None
) -> str | None:
    """The command of one of the runs, for the whole; None if there is none, as from Python.

    Args:
        command: Of the run.
        to: The directory of the whole.
        dropped: Keys of the config that are not those of the whole, such as ``select.shard``.
        dataset: Where the dataset is now, if it was moved.
    """
    if command is None:
        return None
    words = shlex.split(command)
    if "--output-dir" in words or any(word.startswith("--output-dir=") for word in words):
        moved = [] if dataset is None else ["--dataset", str(dataset)]
        flags = _FLAGS if dataset is None else _FLAGS | {"--dataset"}
        return shlex.join([*_without_flags(words, flags), *moved, "--output-dir", str(to)])
    moved = [] if dataset is None else [f"dataset.path={dataset}"]
    keys = [*dropped, "output_dir", *(["dataset.path"] if dataset is not None else [])]
    return shlex.join([*_without_keys(words, keys), *moved, f"output_dir={to}"])


def _without_keys(words: Sequence[str], keys: Sequence[str]) -> Iterator[str]:
    named = "|".join(map(re.escape, keys))
    override = re.compile(rf"\+{{0,2}}({named})([.=].*)?", re.DOTALL)
    return (word for word in words if not override.fullmatch(word))


def _without_flags(words: Sequence[str], flags: frozenset[str]) -> Iterator[str]:
    remaining = iter(words)
    for word in remaining:
        name, equals, _ = word.partition("=")
        if name not in flags:
            yield word
        elif not equals:
            next(remaining, None)
