"""Which rows stand in a page that cannot hold all."""

import random
from collections.abc import Iterable, Sequence

from lm_eval_so.report.board import Board
from lm_eval_so.report.columns import NO_ANSWER, Taker
from lm_eval_so.report.manifest import Sampled
from lm_eval_so.report.result_columns import STATUS

MOST_RESULTS = 200_000
"""Of one file."""

_SEED = 0
_NAN = float("nan")
_FAILED, _SLOWEST, _LONGEST, _DIFFERENT = 0.5, 0.1, 0.1, 0.2  # shares of the rows, at most


def keep_a_sample(board: Board, most: int = MOST_RESULTS) -> Sampled | None:
    """Makes a board that has too many results for one file a sample, which says so.

    Args:
        board: After its `update`.
        most: Results that a page may hold.

    Returns:
        What the sample is; None where all results fit.
    """
    rows = board.rows
    results = sum(len(places) - places.count(0) for places in rows.places)
    if results <= most:
        return None
    chosen, how = _chosen(board, max(most // len(rows.slots), 1))
    kept = sum(1 for places in rows.places for row in chosen if places[row])
    sampled = Sampled(results=kept, of=results, how=how)
    board.keep_only(chosen, sampled)
    return sampled


def _chosen(board: Board, room: int) -> tuple[list[int], str]:
    """The rows, in their order, and in words how they were chosen."""
    draw = random.Random(_SEED)  # noqa: S311 - a sample that is the same each time
    taker = Taker([run.index for run in board.runs], board.rows)
    failed = _failed(taker.results("status", "u8", 0))
    kept = failed if len(failed) <= room * _FAILED else draw.sample(failed, int(room * _FAILED))
    chosen = set(kept)
    told = [f"{'all ' * (kept is failed)}{len(kept):,} of {len(failed):,} failed"] if failed else []
    for words, share, values in (
        ("slowest", _SLOWEST, _highest(taker.results("latency", "f32", _NAN))),
        ("longest", _LONGEST, _highest(taker.results("length", "u32", 0))),
        ("with the most different answers", _DIFFERENT, _different(taker.answers())),
    ):
        top = _top(values, int(room * share))
        chosen.update(top)
        if top:
            told.append(f"the {len(top):,} {words}")
    others = [row for row in range(len(board.rows)) if row not in chosen]
    drawn = draw.sample(others, min(max(room - len(chosen), 0), len(others)))
    chosen.update(drawn)
    told.append(f"{len(drawn):,} others at random")
    return sorted(chosen), "samples: " + ", ".join(told)


def _failed(status: Iterable[Sequence[int]]) -> list[int]:
    ok = STATUS["ok"]
    return sorted({row for column in status for row, value in enumerate(column) if value > ok})


def _highest(columns: Iterable[Sequence[float]]) -> list[float]:
    """The highest value of each row; 0 where there is none."""
    found: list[float] = []
    for column in columns:
        if not found:
            found = [0.0] * len(column)
        for row, value in enumerate(column):
            found[row] = max(found[row], value)
    return found


def _different(answers: Iterable[Sequence[int]]) -> list[float]:
    """By how many answers each row has more than one."""
    return _highest([0 if value == NO_ANSWER else value for value in column] for column in answers)


def _top(values: Sequence[float], count: int) -> list[int]:
    """Rows with the highest values above 0; of equal ones the first."""
    some = [row for row, value in enumerate(values) if value > 0]
    return sorted(some, key=lambda row: -values[row])[:count]
