"""What the merged commands have taken, counted once however often their runs are merged."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from lm_eval_so.merge.sources import Source
from lm_eval_so.runner.models import Value
from lm_eval_so.runner.store.files import replace_file
from lm_eval_so.runner.store.segments import open_results
from lm_eval_so.runner.store.spent import SPENT, SpentFile
from lm_eval_so.runner.store.version import check_version
from lm_eval_so.runner.strategy.rate_limit.tokens import TokenEstimate
from lm_eval_so.runner.strategy.spending import Spending
from lm_eval_so.runner.summary.amount import Amount

MERGED = "merged.json"
"""What of ``spent.json`` other directories have spent, by their path."""

_SCHEMA_VERSION = 1
_Spent = dict[str, Amount]


class _Record(Value):
    """The file.

    Attributes:
        counted: By path, what other directories have spent of ``spent.json``.
        total: Of ``spent.json`` when the merge had written it.
        before: ``counted`` until it was written.
    """

    schema_version: int = _SCHEMA_VERSION
    counted: _Spent
    total: Amount
    before: _Spent


class TogetherSpent:
    """Writes what all directories have spent together.

    A directory that is part of another one already counts there as it stood when it was merged;
    what it has spent since is added.

    Args:
        sources: The runs that are merged.
        to: The directory of the whole.
    """

    def __init__(self, sources: Sequence[Source], to: Path) -> None:
        self._to = to
        self._before = _counted(to, _total(to) or Amount())
        spent: _Spent = {}
        for source in sources:
            for path, amount in _by_directory(source).items():
                if path not in spent or spent[path].requests < amount.requests:
                    spent[path] = amount
        self._own = str(to.resolve())
        self._spent = spent

    def write(self) -> None:
        """Writes ``spent.json``, if anything was spent.

        Raises:
            StoreError: It cannot be written.
        """
        total = _sum(self._spent)
        if total == Amount():
            return
        counted = {path: each for path, each in self._spent.items() if path != self._own}
        record = _Record(counted=counted, total=total, before=self._before)
        replace_file(self._to / MERGED, [record.model_dump_json(indent=2).encode(), b"\n"])
        file = SpentFile(self._to / SPENT)
        try:
            file.write(total)
            file.sync()
        finally:
            file.close()


def _by_directory(source: Source) -> _Spent:
    """What a run spent itself, and what those spent that were merged into it."""
    total = _total(source.directory)
    if total is None:
        return {str(source.directory.resolve()): _of_lines(source)}
    counted = _counted(source.directory, total)
    own = total.minus(_sum(counted))
    return {**counted, str(source.directory.resolve()): Amount(*(max(0.0, each) for each in own))}


def _counted(directory: Path, total: Amount) -> _Spent:
    """The part of a total that was spent elsewhere; what cannot be read was spent here."""
    try:
        record = _Record.model_validate_json((directory / MERGED).read_bytes())
    except (OSError, ValidationError):
        return {}
    check_version(directory / MERGED, record.schema_version, _SCHEMA_VERSION)
    # A merge that was killed between the two files has left the old total.
    is_written = round(total.requests) >= round(record.total.requests)
    return record.counted if is_written else record.before


def _total(directory: Path) -> Amount | None:
    return SpentFile(directory / SPENT).read()


def _of_lines(source: Source) -> Amount:
    """What the results took, where no total was kept; tokens get their price from the next run."""
    spending = Spending(None, TokenEstimate(source.metadata.run_config.parameters))
    with suppress(FileNotFoundError), open_results(source.directory) as lines:
        spending.begin_from_lines(lines)
    return spending.settled


def _sum(spent: _Spent) -> Amount:
    total = Amount()
    for amount in spent.values():
        total = total.plus(amount)
    return total
