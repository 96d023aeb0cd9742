"""A page about run directories, written to a file."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from lm_eval_so.report.board import Board
from lm_eval_so.report.html import html_of
from lm_eval_so.report.manifest import Sampled
from lm_eval_so.report.output import opened
from lm_eval_so.report.run_index import is_replaced
from lm_eval_so.report.runs import named_runs
from lm_eval_so.report.sampling import keep_a_sample
from lm_eval_so.report.scores import Scores
from lm_eval_so.runner.errors import LmEvalError, StoreError
from lm_eval_so.runner.host.private import make_private

REPORT = "report.html"
_TRIES = 5


class _ReplacedError(Exception):
    """What was written is of a file that is another one by now."""


def write_report(
    directories: Sequence[Path], output: Path, scores: Scores | None = None
) -> Sampled | None:
    """Writes the page, in one step.

    Its owner alone can read it, unless all of the runs were made for others to read.

    Args:
        directories: Of the runs.
        output: The file.
        scores: Of the results.

    Returns:
        What the page is a sample of; None where it holds everything.

    Raises:
        NewerVersionError: A newer release wrote some of the runs.
        LmEvalError: A run cannot be read, or the page cannot be written.
    """
    if output.exists() and not output.is_file():
        raise LmEvalError(f"cannot write {output}: there is something that is no file")
    for _ in range(_TRIES):
        board = Board(named_runs(directories), scores=scores)
        board.update()
        sampled = keep_a_sample(board)
        make_private(any(run.metadata.options.get("private", True) for run in board.runs))
        if _write(board, output):
            return sampled
    raise StoreError("a run was replaced again and again while it was read; try again later")


def _write(board: Board, output: Path) -> bool:
    """Writes the page, unless a file is another one by now than that which was read.

    A run that ends puts its file in order: lines are not where they were.
    """
    with suppress(_ReplacedError), opened(output) as file:
        file.writelines(html_of(board))
        if any(is_replaced(run.index) for run in board.runs):
            raise _ReplacedError
        return True
    return False
