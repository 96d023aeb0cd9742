"""The run directories of an export, and their results."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, NamedTuple

from lm_eval_so.report.find import find
from lm_eval_so.report.runs import named_runs
from lm_eval_so.runner.hash_index import HashIndex
from lm_eval_so.runner.models import RunResult
from lm_eval_so.runner.store.files import reading
from lm_eval_so.runner.store.line import read_line
from lm_eval_so.runner.store.run_metadata import RunMetadata
from lm_eval_so.runner.store.segments import open_results, results_path
from lm_eval_so.runner.store.stored_line import contents
from lm_eval_so.runner.sweep.rows import Settings


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
        """One result of each sample and repeat, in the order of the file; None: a damaged line.

        Raises:
            NewerVersionError: A newer release wrote a line.
            StoreError: The file cannot be read.
        """
        path = results_path(self.directory)
        with ExitStack() as opened:
            opened.enter_context(reading(path))
            try:
                file = opened.enter_context(open_results(self.directory))
            except FileNotFoundError:  # the run has not got so far
                return
            kept = None if self.metadata.state == "complete" else _kept(file, path)
            offset = 0
            for line in file:
                result = _read(line, path)
                if kept is None or result is None or kept.get(_place(result)) == offset:
                    yield result
                offset += len(line)


def open_cells(named: Sequence[Path]) -> list[Cell]:
    """The cells that a person means, each once: those that a page would show.

    Args:
        named: As `find` takes it.

    Raises:
        NewerVersionError: A newer release wrote one of them.
        ConfigError: There is none, or a folder has runs of several datasets.
        StoreError: One cannot be read.
    """
    runs = named_runs(find(named).directories)
    return [Cell(run.name, run.settings, run.index.run_dir, run.metadata) for run in runs]


def _kept(file: BinaryIO, path: Path) -> HashIndex:
    """Where the line of each sample and repeat starts: an answer, or else the newest failure.

    A run that has not ended may have several, also to an earlier question, such as from before the
    sample was edited: what was asked last counts. Takes some 50 bytes a question.
    """
    kept, answered = HashIndex(), HashIndex()
    for offset, found in contents(file, path):
        if found is None:
            continue
        place, ok = (found["sample_id"], found.get("repeat", 0)), found["status"] == "ok"
        question = HashIndex.code(found["request_key"])
        if ok or answered.get(place) != question:
            kept[place] = offset
        if ok:
            answered[place] = question
    file.seek(0)
    return kept


def _place(result: RunResult) -> tuple[str, int]:
    return result.sample_id, result.repeat


def _read(line: bytes, path: Path) -> RunResult | None:
    try:
        return read_line(line, path)
    except ValueError:
        return None
