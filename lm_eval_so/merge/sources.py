"""The run directories that are merged: that they are of one kind, and that nobody writes there."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from lm_eval_so.runner.errors import ConfigError, ForeignRunError, RunDirectoryBusyError
from lm_eval_so.runner.run.log import LOG
from lm_eval_so.runner.store.directory import SUPERSEDED
from lm_eval_so.runner.store.lock import holder_in, is_held
from lm_eval_so.runner.store.metadata import METADATA, read_metadata
from lm_eval_so.runner.store.owner import differences
from lm_eval_so.runner.store.results import RESULTS
from lm_eval_so.runner.store.run_metadata import RunMetadata

_DIGITS = 8  # of a digest in a sentence
_OURS = (".lock", f"{RESULTS}.", f"{SUPERSEDED}.", f"{METADATA}.", LOG)
"""Beginnings of what a command leaves that was ended before it wrote a result."""


class Source(NamedTuple):
    """A run that is merged."""

    directory: Path
    metadata: RunMetadata


def read_sources(named: Sequence[Path], to: Path) -> list[Source]:
    """The runs, each once; that of ``to`` is one of them if it holds one.

    Raises:
        ConfigError: One is no run, or ``to`` holds something else.
        ForeignRunError: They are not of one kind.
        RunDirectoryBusyError: A process writes to one; ``to`` is not looked at.
        StoreError: Its metadata cannot be read.
    """
    own = read_metadata(to) if _may_be_filled(to) else None
    once: dict[Path, Path] = {}
    for path in [*named, *([] if own is None else [to])]:
        once.setdefault(path.resolve(), path)
    sources = [_read(path) for path in once.values()]
    first, *others = sources
    for other in others:
        if difference := _difference(first, other):
            raise ForeignRunError(difference)
    for path in once.keys() - {to.resolve()}:
        if is_held(path):
            raise RunDirectoryBusyError(
                f"{once[path]} is in use by another process{holder_in(path)}; merge when it has "
                "ended"
            )
    return sources


def _may_be_filled(to: Path) -> bool:
    """Whether it is there; a ConfigError if it holds what is neither a run nor left of one."""
    if not to.exists():
        return False
    if not to.is_dir():
        raise ConfigError(f"--to {to} is a file; name a directory")
    if not (to / METADATA).is_file():
        for found in sorted(to.iterdir()):
            is_empty = found.name == RESULTS and not found.stat().st_size
            if not is_empty and not found.name.startswith(_OURS):
                raise ConfigError(
                    f"--to {to} is no run directory, and holds {found.name}; name a new directory"
                )
    return True


def _read(path: Path) -> Source:
    found = read_metadata(path) if path.is_dir() else None
    if found is None:
        problem = f"holds no run (no {METADATA})" if path.exists() else "does not exist"
        raise ConfigError(f"{path} {problem}; name run directories")
    return Source(path, found)


def _difference(first: Source, other: Source) -> str | None:
    """In what a run differs from another one that they would have to share."""
    there, here = first.metadata, other.metadata
    pair = f"{other.directory} cannot be merged with {first.directory}"
    return next((f"{pair}: {words}" for words in _differing(there, here)), None)


def _differing(there: RunMetadata, here: RunMetadata) -> Iterator[str]:
    if keys := differences(there.identity, here.identity):
        yield f"another configuration: {'; '.join(keys)}"
    elif there.fingerprint != here.fingerprint:
        yield "another configuration, in a secret or an option that is not written down"
    if there.dataset.sha256 != here.dataset.sha256:
        old, new = (run.dataset.sha256[:_DIGITS] for run in (there, here))
        yield f"another version of the dataset: its sha256 is {old}... there and {new}... here"
    if there.repeats != here.repeats:
        yield f"repeats is {there.repeats} there and {here.repeats} here"
    prompts = [run.prompt and run.prompt.digest for run in (there, here)]
    if prompts[0] != prompts[1]:
        yield "the prompt of this name has another text"
