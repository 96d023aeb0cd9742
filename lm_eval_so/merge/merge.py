"""Runs of one config become one run: all is read, written beside, and renamed at the end."""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from lm_eval_so.merge.dataset import Dataset, read_dataset
from lm_eval_so.merge.files import Files
from lm_eval_so.merge.place import held, undisturbed
from lm_eval_so.merge.selected import ANY_OF, Together, together
from lm_eval_so.merge.sources import Source, read_sources
from lm_eval_so.merge.spending import TogetherSpent
from lm_eval_so.merge.way_on import finishing
from lm_eval_so.merge.whole import Counts, metadata_of
from lm_eval_so.runner.dataset.reader import read_checked, read_lazily
from lm_eval_so.runner.host.private import make_private
from lm_eval_so.runner.request.key import messages_key
from lm_eval_so.runner.run.report import RunReport
from lm_eval_so.runner.store.directory import SUPERSEDED
from lm_eval_so.runner.store.files import put_in_place, write_beside
from lm_eval_so.runner.store.metadata import write_metadata
from lm_eval_so.runner.store.parts.taken_in import take_in
from lm_eval_so.runner.store.results import RESULTS
from lm_eval_so.runner.store.run_metadata import RunMetadata


class Merged(NamedTuple):
    """What a merge leaves.

    Attributes:
        way_on: What is missing and how to go on, in one sentence; None if nothing is.
    """

    report: RunReport
    way_on: str | None


def merge(directories: Sequence[Path], to: Path, moved: Path | None = None) -> Merged:
    """Leaves in ``to`` what one process would have left that asked what all the runs asked.

    Nothing is written before the whole is known to fit together, and the files of a directory that
    was there are replaced at the end. If that is interrupted, the same command gives the same.

    Args:
        directories: The runs; they are not changed.
        to: New, empty, or one of their kind.
        moved: Where the dataset is now.

    Raises:
        LmEvalError: They cannot be merged.
    """
    began = time.perf_counter()
    sources = read_sources(directories, to)
    dataset = read_dataset(sources, moved)
    make_private(any(run.options.get("private", True) for _, run in sources))
    with held(to):
        sources = read_sources(directories, to)  # as it is while nobody else can write there
        merging = _Merging(sources, dataset, to, moved)
        merging.write(began)
    return Merged(RunReport.load(to), merging.way_on)


class _Merging:
    """One merge, while its directory is held."""

    def __init__(
        self, sources: Sequence[Source], dataset: Dataset, to: Path, moved: Path | None
    ) -> None:
        self._sources, self._dataset, self._to = sources, dataset, to
        runs = [run for _, run in sources]
        self._repeats = runs[0].repeats
        self._asked = together(runs, read_checked(dataset.source.reader, dataset.checked))
        self._command = _finishing(sources, to, self._asked, moved)
        self._counts = Counts()
        self.way_on: str | None = None

    def write(self, began: float) -> None:
        """Writes all files of the directory; a kill at any moment costs another merge at most."""
        spent = TogetherSpent(self._sources, self._to)
        take_in(self._to)
        with ExitStack() as written:
            with Files([path for path, _ in self._sources]) as files:
                self._answers = files.answers()
                ordered = write_beside(self._to / RESULTS, self._ordered(files))
                written.callback(ordered.unlink, missing_ok=True)
                set_aside = self._set_aside(files)
                if set_aside is not None:
                    written.callback(set_aside.unlink, missing_ok=True)
            whole = self._metadata(time.perf_counter() - began)
            with undisturbed():
                self._put_in_place(whole, spent, ordered, set_aside)
        self.way_on = self._way_on()

    def _set_aside(self, files: Files) -> Path | None:
        """A file beside that of the answers that are not asked any more; None if there are none.

        An answer that stands there already stays: until the new results are in their place, it is
        nowhere else in this directory.
        """
        aside = self._to / SUPERSEDED
        numbers = enumerate(path.resolve() for path in files.paths)
        own = next((number for number, path in numbers if path == aside.resolve()), None)
        lines = (line for line, _ in files.lines(self._answers.leftovers(kept=own)))
        first = next(lines, None)
        return None if first is None else write_beside(aside, chain([first], lines))

    def _put_in_place(
        self, whole: RunMetadata, spent: TogetherSpent, ordered: Path, set_aside: Path | None
    ) -> None:
        """Gives the files their names; between any two of them the directory is one of a run."""
        begun = {"state": "running", "summary": None, "verdict": None, "ended_at": None}
        write_metadata(self._to, whole.model_copy(update=begun))
        spent.write()
        if set_aside is not None:
            put_in_place(set_aside, self._to / SUPERSEDED)
        put_in_place(ordered, self._to / RESULTS)
        if next(self._answers.leftovers(), None) is None:
            (self._to / SUPERSEDED).unlink(missing_ok=True)
        write_metadata(self._to, whole)

    def _ordered(self, files: Files) -> Iterator[bytes]:
        """The lines of the whole, in dataset order; counts them."""
        counts, repeats = self._counts, range(self._repeats)
        reader, checked = self._dataset.source.reader, self._dataset.checked
        for position, sample in enumerate(read_lazily(reader, checked)):
            messages = messages_key(sample.messages)
            found = [self._answers.take(sample.id, repeat, messages) for repeat in repeats]
            places = [place for place in found if place is not None]
            is_selected = self._asked.includes(position, has_line=bool(places))
            counts.selected += is_selected
            counts.total += len(repeats) if is_selected else len(places)
            for line, fields in files.lines(places):
                counts.totals.add(fields)
                yield line

    def _metadata(self, wall_time: float) -> RunMetadata:
        return metadata_of(
            [run for _, run in self._sources],
            self._dataset,
            self._asked.asked,
            self._counts,
            wall_time,
        ).model_copy(update={"command": self._command})

    def _way_on(self) -> str | None:
        owed = self._counts.owed
        if not owed:
            return None
        missing = f"{owed:,} of {self._counts.total:,} results are missing"
        if self._command is None:
            return f"{missing}; to ask for them, run what the parts ran with output_dir={self._to}"
        return f"{missing}; ask for them with: {self._command}"


def _finishing(
    sources: Sequence[Source], to: Path, asked: Together, moved: Path | None
) -> str | None:
    """The command for the whole; None where no run has one, or none can ask for just that."""
    if ANY_OF in asked.asked:
        return None
    latest_first = sorted(sources, key=lambda source: source.metadata.started_at, reverse=True)
    commands = (run.command for _, run in latest_first)
    command = next((command for command in commands if command is not None), None)
    return finishing(command, to, ["select.shard"] if asked.asked else ["select"], moved)
