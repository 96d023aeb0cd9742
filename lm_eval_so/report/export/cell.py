"""The run directories of an export, and their results."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import BinaryIO, NamedTuple

import orjson

from lm_eval_so.runner.errors import ConfigError, StoreError
from lm_eval_so.runner.hash_index import HashIndex
from lm_eval_so.runner.models import RunResult
from lm_eval_so.runner.store.files import reading
from lm_eval_so.runner.store.line import read_line
from lm_eval_so.runner.store.metadata import find_runs, read_metadata
from lm_eval_so.runner.store.results import RESULTS
from lm_eval_so.runner.store.run_metadata import RunMetadata
from lm_eval_so.runner.store.stored_line import contents
from lm_eval_so.runner.sweep.record import RECORD
from lm_eval_so.runner.sweep.rows import Row, Settings, settings_of, varying


class Cell(NamedTuple):
    """A run directory.

    Attributes:
        name: What sets it apart from the others, in one line; unique.
        settings: The same by the keys of the config; empty for a single cell.
    """

    name: str
    settings: Settings
    directory: Path
    metadata: RunMetadata

    def results(self) -> Iterator[RunResult | None]:
        """One result of each question, in the order of the file; None for a damaged line.

        Raises:
            NewerVersionError: A newer release wrote a line.
            StoreError: The file cannot be read.
        """
        path = self.directory / RESULTS
        if not path.exists():  # the run has not got so far
            return
        with reading(path), path.open("rb", buffering=1 << 18) as file:
            kept = None if self.metadata.state == "complete" else _kept(file, path)
            offset = 0
            for line in file:
                result = _read(line, path)
                if kept is None or result is None or kept.get(_question(result)) == offset:
                    yield result
                offset += len(line)


def open_cells(folders: Sequence[Path]) -> list[Cell]:
    """The cells of these folders, each once, in this order.

    Args:
        folders: Run directories, folders that contain some at any depth, and folders of sweeps.

    Raises:
        NewerVersionError: A newer release wrote one of them.
        ConfigError: There is none.
        StoreError: One cannot be read.
    """
    directories = dict.fromkeys(chain.from_iterable(map(_directories, folders)))
    runs = {path: run for path in directories if (run := read_metadata(path))}
    if not runs:
        raise ConfigError(f"found no run directory in {', '.join(map(str, folders))}")
    settings = varying(settings_of(runs.values()))
    names = _names(runs, settings)
    return [
        Cell(name, own, path, run)
        for name, own, (path, run) in zip(names, settings, runs.items(), strict=True)
    ]


def _directories(folder: Path) -> Iterable[Path]:
    """The run directories of a folder; of a sweep's, those of its cells."""
    record = folder / RECORD
    if not record.is_file():
        return find_runs(folder)
    with reading(record):
        text = record.read_bytes()
    try:
        found = [cell["directory"] for cell in orjson.loads(text)["cells"]]
        return [_found(Path(directory), folder) for directory in found if directory]
    except (ValueError, LookupError, TypeError) as error:
        raise StoreError(f"{record} is damaged; name the run directories instead") from error


def _found(directory: Path, folder: Path) -> Path:
    """Beside the sweep's folder, if the path does not begin at the working directory."""
    return directory if directory.is_dir() else folder.parent.parent / directory.name


def _names(runs: dict[Path, RunMetadata], settings: Sequence[Settings]) -> list[str]:
    if len(runs) == 1:
        (run,) = runs.values()
        return [f"{run.run_config.backend}_{run.run_config.model}"]
    labels = [Row(settings=own, state="").label for own in settings]
    count = Counter(labels)
    return [
        label if label and count[label] == 1 else str(path)
        for label, path in zip(labels, runs, strict=True)
    ]


def _kept(file: BinaryIO, path: Path) -> HashIndex:
    """Where the line of each question starts: an answer, or else the newest failure.

    A run that has not ended may have several. Takes 25 bytes a question.
    """
    kept, answered = HashIndex(), HashIndex()
    for offset, found in contents(file, path):
        if found is None:
            continue
        question, ok = (found["sample_id"], found["request_key"]), found["status"] == "ok"
        if ok or answered.get(question) is None:
            kept[question] = offset
        if ok:
            answered[question] = 1
    file.seek(0)
    return kept


def _question(result: RunResult) -> tuple[str, str]:
    return result.sample_id, result.request_key


def _read(line: bytes, path: Path) -> RunResult | None:
    try:
        return read_line(line, path)
    except ValueError:
        return None
