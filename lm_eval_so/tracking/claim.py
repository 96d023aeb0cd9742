"""``mlflow.json``: which of MLflow's runs a directory belongs to, so that a later command goes on.

The key is on the disk before MLflow hears of it, and MLflow's run carries it as a tag: so a kill at
any moment leaves one run and not two, on whatever server.
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import orjson
from filelock import FileLock, Timeout

from lm_eval_so.runner.errors import TrackingUnreachableError
from lm_eval_so.runner.host.private import make_directory
from lm_eval_so.runner.store.files import replace_file, unwritable
from lm_eval_so.tracking.address import shown

CLAIM = "mlflow.json"
_LOCK = f".{CLAIM}.lock"
_PATIENCE = 20.0  # seconds
KEY_TAG = "lm_eval_so.key"


@contextmanager
def claimed(directory: Path) -> Iterator["Claim"]:
    """The claim of a directory, for one process at a time, such as the cells of a sweep.

    Raises:
        TrackingUnreachableError: Another process does not let go of it.
        StoreError: It cannot be written.
    """
    try:
        make_directory(directory)
        with FileLock(directory / _LOCK, timeout=_PATIENCE):
            yield Claim(directory)
    except Timeout as error:
        sentence = f"another process is telling MLflow of {directory}"
        raise TrackingUnreachableError(sentence) from error
    except OSError as error:
        raise unwritable(directory, error) from error


class Claim:
    """The file of one directory; made if there is none.

    Attributes:
        key: What MLflow's run is tagged with.
        runs: By id, the address and the experiment of each: there may be several servers.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / CLAIM
        content: dict[str, Any] = {}
        with suppress(OSError, orjson.JSONDecodeError):
            content = orjson.loads(self._path.read_bytes())
        self.runs: dict[str, dict[str, str]] = content.get("runs", {})
        self.key: str = content.get("key") or secrets.token_hex(16)
        if "key" not in content:
            self._write()

    def note(self, uri: str, experiment_id: str, run_id: str) -> None:
        """Writes which run it is, for a person and for who ends it."""
        found = {"uri": shown(uri), "experiment_id": experiment_id}
        if self.runs.get(run_id) != found:
            self.runs[run_id] = found
            self._write()

    def _write(self) -> None:
        content = {"key": self.key, "runs": self.runs}
        options = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
        replace_file(self._path, [orjson.dumps(content, option=options)])
