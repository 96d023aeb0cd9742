"""A run directory that this process holds: whose it is, what it has taken, its metadata."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from lm_eval_so.runner.errors import ForeignRunError, StoreError
from lm_eval_so.runner.masking.redactor import Redactor
from lm_eval_so.runner.store.lock import DirectoryLock
from lm_eval_so.runner.store.metadata import METADATA, write_metadata
from lm_eval_so.runner.store.owner import Asked, check_owner, may_go_on
from lm_eval_so.runner.store.results import RESULTS
from lm_eval_so.runner.store.run_metadata import RunMetadata
from lm_eval_so.runner.store.spent import SPENT, SpentFile

_SYNC_INTERVAL = 1.0  # seconds between two syncs to disk, at most


class HeldDirectory(ABC):
    """The files of one run, held by this process while the context lasts; how it keeps results.

    Args:
        identity: The identity that the directory must have.
        redactor: Removes secrets from every line.
        asked: The dataset; the results in the directory must be of it. None allows any.

    Attributes:
        spent: The total of all commands.
        refusal: The first error of the disk when it was to sync.

    Raises (on entering):
        RunDirectoryBusyError: Another process holds it.
        ForeignRunError: It belongs to another identity.
        NewerVersionError: A newer release wrote it; nothing is changed.
        StoreError: It cannot be written.
    """

    def __init__(
        self,
        path: Path,
        identity: Mapping[str, Any],
        redactor: Redactor,
        asked: Asked | None = None,
    ) -> None:
        self.path = path
        self.spent = SpentFile(path / SPENT)
        self.refusal: StoreError | None = None
        self._identity = identity
        self._redactor = redactor
        self._asked = asked
        self._exit = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as entered:
            self._lock = entered.enter_context(DirectoryLock(self.path))
            check_owner(self.path, self._identity, self._redactor)
            self._check_dataset()
            self.spent.check_version()
            entered.callback(self.spent.close)
            self._open(entered)
            self._exit = entered.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._exit.close()

    @abstractmethod
    def _open(self, entered: ExitStack) -> None:
        """Opens the results; what is to be closed goes onto the stack."""

    @abstractmethod
    def _sync_results(self) -> None:
        """Makes the lines that were written survive a power cut.

        Raises:
            StoreError: The disk refuses.
        """

    @property
    def results_path(self) -> Path:
        """``run_results.jsonl``."""
        return self.path / RESULTS

    @property
    def metadata_path(self) -> Path:
        """``run_metadata.json``."""
        return self.path / METADATA

    def write_metadata(self, metadata: RunMetadata) -> None:
        """Replaces ``run_metadata.json``.

        Raises:
            StoreError: It cannot be written, or another process has taken the directory.
        """
        self._lock.check()
        write_metadata(self.path, metadata)

    async def keep_synced(self) -> None:
        """Syncs the files to disk every second, until cancelled.

        Raises:
            StoreError: The disk refuses.
            RunDirectoryBusyError: Another process writes here, although this one has the lock.
        """
        while True:
            await asyncio.sleep(_SYNC_INTERVAL)
            self.spent.flush()
            await asyncio.to_thread(self._sync)

    def _sync(self) -> None:
        self._lock.check()
        try:
            self._sync_results()
            self.spent.sync()
        except StoreError as refusal:
            self.refusal = self.refusal or refusal
            raise

    def _check_dataset(self) -> None:
        if self._asked is not None and not may_go_on(self.path, self._asked):
            raise ForeignRunError(
                f"{self.path} has the results of another dataset with the id "
                f"{self._identity['dataset']!r}; choose another output_dir, or give each dataset "
                "its own dataset_id in metadata.json"
            )
