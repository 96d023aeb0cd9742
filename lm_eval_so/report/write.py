"""A page about run directories, written to a file."""

from collections.abc import Sequence
from pathlib import Path

from lm_eval_so.report.board import Board
from lm_eval_so.report.html import html_of
from lm_eval_so.report.manifest import Sampled
from lm_eval_so.report.runs import named_runs
from lm_eval_so.report.sampling import keep_a_sample
from lm_eval_so.report.scores import Scores
from lm_eval_so.runner.host.private import make_private
from lm_eval_so.runner.store.files import replace_file

REPORT = "report.html"


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
    board = Board(named_runs(directories), scores=scores)
    board.update()
    sampled = keep_a_sample(board)
    make_private(any(run.metadata.options.get("private", True) for run in board.runs))
    replace_file(output, html_of(board))
    return sampled
