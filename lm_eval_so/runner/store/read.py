"""The results of a run directory are read, whatever they are in."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from lm_eval_so.runner.errors import StoreError
from lm_eval_so.runner.models import RunResult
from lm_eval_so.runner.store.files import reading
from lm_eval_so.runner.store.line import read_line
from lm_eval_so.runner.store.parts.truth import is_in_parts
from lm_eval_so.runner.store.results import RESULTS
from lm_eval_so.runner.store.segments import open_results, results_path
from lm_eval_so.runner.store.stored_line import StoredLine, contents, stored_line


def read_results(path: Path | str) -> Iterator[RunResult]:
    """The results of a run, one at a time.

    Args:
        path: The run directory, or its ``run_results.jsonl``, where it has one.

    Raises:
        NewerVersionError: A newer release wrote a line.
        StoreError: The file cannot be read, or a line is not a RunResult.
    """
    given = Path(path)
    name = results_path(given) if given.is_dir() else given
    try:
        with _opened(given) as file:
            for number, line in enumerate(file, start=1):
                yield _parse(name, number, line)
    except OSError as error:
        raise StoreError(f"results {name} cannot be read: {error.strerror}") from error


def scan_results(run_dir: Path) -> Iterator[StoredLine]:
    """The complete lines of a run; damaged lines are skipped, and there may be none yet.

    Raises:
        NewerVersionError: A newer release wrote one of them.
        StoreError: They cannot be read.
    """
    path = run_dir / RESULTS
    with reading(path), suppress(FileNotFoundError), open_results(run_dir) as file:
        for offset, found in contents(file, path):
            if found is not None:
                yield stored_line(offset, found)


def _opened(path: Path) -> BinaryIO:
    if path.is_dir():
        return open_results(path, buffering=8192)
    try:
        return path.open("rb")
    except FileNotFoundError as error:
        if is_in_parts(path.parent):
            raise StoreError(
                f"results {path} cannot be read: the run is in parts; name its directory, "
                f"{path.parent}"
            ) from error
        raise


def _parse(path: Path, number: int, line: bytes) -> RunResult:
    try:
        return read_line(line, path)
    except ValueError as error:
        raise StoreError(f"{path}:{number}: not a RunResult") from error
