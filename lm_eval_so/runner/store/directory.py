"""One run directory: claimed, resumed, written, put in order."""

import asyncio
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from lm_eval_so.runner.errors import ForeignRunError
from lm_eval_so.runner.masking.redactor import Redactor
from lm_eval_so.runner.models import RunResult
from lm_eval_so.runner.store.files import replace_file
from lm_eval_so.runner.store.ledger import Ledger
from lm_eval_so.runner.store.line import as_line, read_line
from lm_eval_so.runner.store.lock import DirectoryLock
from lm_eval_so.runner.store.metadata import METADATA, check_owner, write_metadata
from lm_eval_so.runner.store.owner import Asked, may_go_on
from lm_eval_so.runner.store.results import RESULTS, ResultsFile
from lm_eval_so.runner.store.spent import SPENT, SpentFile

_SUPERSEDED = "superseded_results.jsonl"
_SYNC_INTERVAL = 1.0  # seconds between two syncs to disk, at most


class RunDirectory:
    """The files of one run, held by this process while the context lasts.

    Args:
        identity: What the directory must belong to.
        count: Samples in the dataset.
        redactor: Takes secrets out of every line.
        asked: The dataset, which must be the one that the directory has results of; None for any.

    Attributes:
        spent: What all commands have taken.

    Raises (on entering):
        RunDirectoryBusyError: Another process holds it.
        ForeignRunError: It belongs to another identity.
        StoreError: It cannot be written.
    """

    def __init__(
        self,
        path: Path,
        identity: Mapping[str, Any],
        count: int,
        redactor: Redactor,
        asked: Asked | None = None,
    ) -> None:
        self.path = path
        self.spent = SpentFile(path / SPENT)
        self._identity = identity
        self._count = count
        self._redactor = redactor
        self._asked = asked
        self._exit = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as entered:
            entered.enter_context(DirectoryLock(self.path))
            check_owner(self.path, self._identity, self._redactor)
            self._check_dataset()
            self._results = ResultsFile(self.path / RESULTS)
            entered.callback(self._results.close)
            entered.callback(self.spent.close)
            self._take_back_superseded()
            self.ledger = Ledger(self._results.scan(), self._count)
            self._exit = entered.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._exit.close()

    @property
    def results_path(self) -> Path:
        """``run_results.jsonl``."""
        return self.path / RESULTS

    @property
    def metadata_path(self) -> Path:
        """``run_metadata.json``."""
        return self.path / METADATA

    def add(self, index: int, result: RunResult) -> RunResult:
        """Writes a result; when this returns, a crash of the process cannot lose it.

        Returns:
            The result as it is kept: an answer that has no JSON form is repaired, or an error.

        Raises:
            StoreError: It cannot be written.
        """
        kept, line = as_line(result, self._redactor)
        self.ledger.add(index, self._results.append(line), ok=kept.status == "ok")
        return kept

    def stored(self, offset: int) -> RunResult:
        """The result that stands at an offset of the results file."""
        (line,) = self._results.lines_at([offset])
        return read_line(line)

    def write_metadata(self, metadata: Mapping[str, Any]) -> None:
        """Replaces ``run_metadata.json``.

        Raises:
            StoreError: It cannot be written.
        """
        write_metadata(self.path, metadata)

    def put_in_order(self) -> None:
        """Leaves one line per sample that has an outcome, in dataset order; it is the last thing.

        Answers to questions that the dataset does not ask any more are kept aside, in case it
        asks them again.

        Raises:
            StoreError: A new file cannot be written; the old one still stands.
        """
        self._sync()
        if self._results.is_just(self.ledger.offsets()):
            return
        leftovers = list(self._results.lines_at(self.ledger.leftovers()))
        if leftovers:
            replace_file(self.path / _SUPERSEDED, leftovers)
        ordered = self._results.lines_at(self.ledger.offsets())
        self._results.close()
        replace_file(self.results_path, ordered)

    async def keep_synced(self) -> None:
        """Syncs what was written to disk again and again, until cancelled."""
        while True:
            await asyncio.sleep(_SYNC_INTERVAL)
            await asyncio.to_thread(self._sync)

    def _check_dataset(self) -> None:
        if self._asked is not None and not may_go_on(self.path, self._asked):
            raise ForeignRunError(
                f"{self.path} holds the results of another dataset with the id "
                f"{self._identity['dataset']!r}; choose another output_dir, or give each of them "
                "a dataset_id of its own in its metadata.json"
            )

    def _sync(self) -> None:
        self._results.sync()
        self.spent.sync()

    def _take_back_superseded(self) -> None:
        path = self.path / _SUPERSEDED
        if path.is_file():
            for line in path.read_bytes().splitlines():
                self._results.append(line)
            self._results.sync()
            path.unlink()
