"""What a person names, as run directories: runs, folders of runs, sweeps."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from lm_eval_so.runner.errors import ConfigError, StoreError
from lm_eval_so.runner.host.output import tell
from lm_eval_so.runner.store.metadata import METADATA, find_runs, read_metadata
from lm_eval_so.runner.sweep.record import RECORD

_MOST_NAMED = 3


class Found(NamedTuple):
    """Run directories of one page.

    Attributes:
        home: Where the page is written if nobody says where.
        directories: Of the runs, each once.
    """

    home: Path
    directories: list[Path]


def find(named: Sequence[Path], root: Path = Path("outputs")) -> Found:
    """The run directories that a person means.

    Args:
        named: Run directories, folders that hold some at any depth, folders of sweeps, or their
            ``sweep.json``. None at all means what is newest in ``root``, a sweep or a run.
        root: Where results are kept.

    Raises:
        ConfigError: There is no run, or a folder has runs of several datasets.
        StoreError: A run that is named itself cannot be read.
    """
    given = list(named) or [newest(root)]
    found = [path for each in given for path in _runs_of(each)]
    home = given[0] if len(given) == 1 else Path()
    return Found(home if home.is_dir() else home.parent, list(dict.fromkeys(found)))


def newest(root: Path) -> Path:
    """The run or the sweep in a folder that was written last.

    Raises:
        ConfigError: There is none.
    """
    runs, sweeps = (_latest(root.rglob(name)) for name in (METADATA, RECORD))
    if runs is None and sweeps is None:
        raise ConfigError(
            f"found no run in {root}; name a run directory, such as: lm-eval-so report DIR"
        )
    if runs is None or (sweeps is not None and _belongs(runs, sweeps)):
        assert sweeps is not None  # noqa: S101 - one of them is there
        return sweeps.parent
    return runs.parent


def _belongs(run: Path, sweep: Path) -> bool:
    """Whether a sweep is newer than a run, or goes on and the run is one of its cells."""
    if sweep.stat().st_mtime_ns >= run.stat().st_mtime_ns:
        return True
    record = _record(sweep)
    return record.get("ended_at") is None and run.parent in _cells_of(sweep, record)


def _latest(paths: Iterable[Path]) -> Path | None:
    return max(paths, key=lambda path: path.stat().st_mtime_ns, default=None)


def _runs_of(path: Path) -> Iterator[Path]:
    sweep = path / RECORD if path.is_dir() else path
    if sweep.name == RECORD and sweep.is_file():
        yield from _of_sweep(sweep)
    elif path.name == METADATA or (path / METADATA).is_file():
        yield path.parent if path.name == METADATA else path
    elif path.is_dir():
        yield from _of_folder(path)
    else:
        problem = "is no run directory" if path.exists() else "does not exist"
        raise ConfigError(f"{path} {problem}; name a run directory, a folder of runs, or a sweep")


def _of_folder(folder: Path) -> list[Path]:
    datasets: dict[str, None] = {}
    found = []
    for path in find_runs(folder):
        try:
            metadata = read_metadata(path)
        except StoreError as error:
            tell(f"left out: {error}")
            continue
        if metadata is not None:
            datasets[metadata.dataset.id] = None
            found.append(path)
    if not found:
        raise ConfigError(f"found no run in {folder}")
    if len(datasets) > 1:
        some = ", ".join([*datasets][:_MOST_NAMED]) + ", ..." * (len(datasets) > _MOST_NAMED)
        raise ConfigError(
            f"{folder} has runs of {len(datasets)} datasets ({some}); name one dataset's folder, "
            f"such as {found[0].parent}, or each run directory"
        )
    return found


def _of_sweep(sweep: Path) -> list[Path]:
    cells = _cells_of(sweep, _record(sweep))
    found = [path for path in cells if (path / METADATA).is_file()]
    if not found:
        raise ConfigError(f"no cell of the sweep {sweep.parent} has begun, or its runs were moved")
    return found


def _cells_of(sweep: Path, record: dict[str, Any]) -> list[Path]:
    """Directories of the cells; beside the sweep's folder where the whole was moved."""
    around = sweep.parent.parent.parent
    found = []
    for cell in record.get("cells", ()):
        directory = cell.get("directory")
        if directory is not None:
            path = Path(directory)
            found.append(path if path.is_dir() else around / path.name)
    return found


def _record(sweep: Path) -> dict[str, Any]:
    try:
        record: dict[str, Any] = orjson.loads(sweep.read_bytes())
    except (OSError, ValueError) as error:
        raise StoreError(f"{sweep} cannot be read: {error}") from error
    return record
