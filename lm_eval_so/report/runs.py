"""The run directories of a page, opened and named."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lm_eval_so.report.run_index import RunIndex
from lm_eval_so.runner.errors import StoreError
from lm_eval_so.runner.store.metadata import METADATA, read_metadata
from lm_eval_so.runner.store.run_metadata import RunMetadata
from lm_eval_so.runner.sweep.rows import Row, Settings, settings_of, varying


@dataclass(frozen=True)
class NamedRun:
    """A run directory as a cell of a page.

    Attributes:
        name: What varies; of a single run its backend and model. No other cell has it.
        settings: What varies, key by key.
    """

    metadata: RunMetadata
    index: RunIndex
    name: str
    settings: Settings


def named_runs(
    directories: Iterable[Path], indexes: dict[Path, RunIndex] | None = None
) -> list[NamedRun]:
    """Opens run directories; their indexes are as they are given, or empty.

    Args:
        directories: Each must hold ``run_metadata.json``.
        indexes: Those that are there already.

    Raises:
        NewerVersionError: A newer release wrote one of them.
        StoreError: There is no run in one of them, or its ``run_metadata.json`` is damaged.
    """
    paths = list(dict.fromkeys(directories))
    runs = [_metadata(path) for path in paths]
    settings = varying(settings_of(runs))
    names = _names(paths, runs, settings)
    known = indexes or {}
    return [
        NamedRun(metadata, known.get(path) or RunIndex(path), name, own)
        for path, metadata, name, own in zip(paths, runs, names, settings, strict=True)
    ]


def reread(run: NamedRun) -> NamedRun:
    """The run with its metadata as it is now; as it was where that cannot be read any more."""
    try:
        metadata = read_metadata(run.index.run_dir)
    except StoreError:
        metadata = None
    return run if metadata is None else replace(run, metadata=metadata)


def _metadata(directory: Path) -> RunMetadata:
    metadata = read_metadata(directory)
    if metadata is None:
        raise StoreError(f"no run directory: there is no {METADATA} in {directory}")
    return metadata


def _names(
    paths: Sequence[Path], runs: Sequence[RunMetadata], settings: Sequence[Settings]
) -> list[str]:
    if len(runs) == 1:
        return [_alone(runs[0])]
    names = [_label(own) or path.name for path, own in zip(paths, settings, strict=True)]
    for told in (lambda path: path.name, str):
        several = Counter(names)
        names = [
            f"{name} ({told(path)})" if several[name] > 1 else name
            for name, path in zip(names, paths, strict=True)
        ]
    return names


def _label(settings: Settings) -> str:
    blank = [f"no {key}" for key, value in settings.items() if value == ""]
    return Row(settings=settings, state="").label or ", ".join(blank)


def _alone(metadata: RunMetadata) -> str:
    config, prompt = metadata.run_config, metadata.prompt
    parts = [config.backend, config.model, *([prompt.label] if prompt else [])]
    return "_".join(filter(None, parts))
