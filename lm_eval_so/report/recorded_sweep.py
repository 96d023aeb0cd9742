"""What a report reads of ``sweep.json``."""

from pathlib import Path
from typing import Any

import orjson
from pydantic import AwareDatetime, ConfigDict, Field, ValidationError

from lm_eval_so.runner.errors import StoreError
from lm_eval_so.runner.models import Value
from lm_eval_so.runner.store.version import check_version
from lm_eval_so.runner.sweep.record import SCHEMA_VERSION
from lm_eval_so.runner.text.one_line import one_line

_LONGEST_REASON = 300  # characters


class RecordedCell(Value):
    """A cell of a sweep.

    Attributes:
        directory: Of its run, as it was typed; None where it had none.
        settings: What distinguishes it from the others.
    """

    model_config = ConfigDict(extra="ignore")

    directory: str | None = Field(default=None, pattern=r"^[^\x00]+$")
    settings: dict[str, Any] = Field(default_factory=dict)


class RecordedSweep(Value):
    """A sweep; ``ended_at`` is None while it goes on."""

    model_config = ConfigDict(extra="ignore")

    started_at: AwareDatetime
    ended_at: AwareDatetime | None = None
    cells: tuple[RecordedCell, ...]


def read_recorded_sweep(path: Path) -> RecordedSweep:
    """The record at a path.

    Raises:
        NewerVersionError: A newer release wrote it.
        StoreError: It cannot be read, or is damaged.
    """
    try:
        found = orjson.loads(path.read_bytes())
        if isinstance(found, dict):
            check_version(path, found.get("schema_version"), SCHEMA_VERSION)
        return RecordedSweep.model_validate(found)
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        reason = f"{'.'.join(map(str, first['loc']))}: {first['msg']}".removeprefix(": ")
    except ValueError as error:
        reason = str(error)
    raise StoreError(f"{path} is damaged: {one_line(reason, _LONGEST_REASON)}")
