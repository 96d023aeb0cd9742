"""What the list says of each sweep and run."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import NamedTuple

from lm_eval_so.report.view.counts import Counts
from lm_eval_so.report.view.folder import Found, FoundRun
from lm_eval_so.report.view.sweeps import FoundSweep
from lm_eval_so.runner.progress.units import duration
from lm_eval_so.runner.store.run_metadata import RunMetadata

CountsOf = Mapping[str, Counts | None]


class Item(NamedTuple):
    """A row of the list.

    Attributes:
        name: What it is called; ``path`` is where it stands in the folder.
        states: Words for how it stands, and how many runs stand so.
        cells: Of a sweep; 1 for a run.
        started: To the minute, in this machine's time; ``iso`` to be sorted by.
        took: How long it took so far.
        problem: Why it cannot be shown.
    """

    id: str
    name: str
    path: str
    dataset: str
    states: tuple[tuple[str, int], ...]
    cells: int
    counts: Counts | None
    started: str = ""
    iso: str = ""
    took: str = ""
    problem: str | None = None


class Listing(NamedTuple):
    """All that is listed, the newest first."""

    sweeps: list[Item]
    runs: list[Item]
    is_running: bool
    links_out: int
    is_whole: bool


def listing(found: Found, counts: CountsOf) -> Listing:
    """The rows of the list.

    Args:
        found: What there is.
        counts: The samples of each run by outcome, by id.
    """
    return Listing(
        [_sweep(sweep, found, counts) for sweep in found.sweeps.values()],
        [_run(run, counts[run.id]) for run in found.runs.values()],
        found.is_running,
        found.links_out,
        found.is_whole,
    )


def _run(run: FoundRun, counts: Counts | None) -> Item:
    states = ((run.state, 1),)
    metadata = run.metadata
    if metadata is None:
        return Item(run.id, run.shown, run.shown, "", states, 1, None, problem=run.problem)
    return Item(
        run.id,
        _name(metadata),
        run.shown,
        metadata.dataset.id,
        states,
        1,
        counts,
        *_times(metadata.started_at, metadata.ended_at, is_running=run.is_running),
    )


def _sweep(sweep: FoundSweep, found: Found, counts: CountsOf) -> Item:
    runs = [found.runs[run] for run in sweep.runs]
    datasets = dict.fromkeys(run.metadata.dataset.id for run in runs if run.metadata)
    states: dict[str, int] = {}
    for run in runs:
        states[run.state] = states.get(run.state, 0) + 1
    missing = sweep.cells - len(runs)
    if missing:
        states["owed"] = missing
    ends = [run.metadata.ended_at for run in runs if run.metadata]
    ended = max((end for end in ends if end is not None), default=None)
    is_running = any(run.is_running for run in runs)
    times = _times(sweep.started_at, ended, is_running=is_running)
    return Item(
        sweep.id,
        sweep.name,
        sweep.shown,
        ", ".join(datasets),
        (("damaged", 1),) if sweep.problem else tuple(states.items()),
        sweep.cells,
        _added_up(counts[run.id] for run in runs),
        *(("", "", "") if sweep.problem else times),
        problem=sweep.problem or (None if runs else "none of its runs is in this folder"),
    )


def _added_up(counts: Iterable[Counts | None]) -> Counts | None:
    known = [count for count in counts if count is not None]
    if not known:
        return None
    ok, failed, owed, whole = zip(*known, strict=True)
    return Counts(sum(ok), sum(failed), sum(owed), all(whole))


def _name(metadata: RunMetadata) -> str:
    """What decided the answers, in short."""
    config, prompt = metadata.run_config, metadata.prompt
    parameters = (f"{name}={value}" for name, value in config.parameters.items())
    parts = (config.backend, config.model, prompt and prompt.label, *parameters, metadata.variant)
    return " ".join(part for part in parts if part)


def _times(started: datetime, ended: datetime | None, *, is_running: bool) -> tuple[str, str, str]:
    """When it started, for a person and to be sorted by; and how long it took."""
    local = started
    with suppress(OverflowError):  # at the end of what a calendar has
        local = started.astimezone()
    shown = local.strftime("%Y-%m-%d %H:%M")
    end = datetime.now(started.tzinfo) if is_running else ended
    seconds = None if end is None else max((end - started).total_seconds(), 0.0)
    return shown, started.isoformat(), "" if seconds is None else duration(seconds)
