"""The progress line: the most important parts come first; parts that do not fit are left out."""

from collections.abc import Iterator

from rich.cells import cell_len
from rich.text import Text

from lm_eval_so.runner.engine.base import Live
from lm_eval_so.runner.progress.tally import Tally
from lm_eval_so.runner.progress.units import duration, number

_GAP = "  "
_SHARE, _LONGEST = 8, 24  # the bar takes an eighth of the line, at most so many characters


def status_line(tally: Tally, live: Live, title: str, width: int, *, ascii_only: bool) -> Text:
    """Bar, count and percentage, and as many other parts as fit in ``width`` characters."""
    share = tally.done / tally.total if tally.total else 1.0
    line = _bar(share, min(width // _SHARE, _LONGEST), ascii_only=ascii_only)
    line.append(f" {tally.done}/{tally.total} {int(100 * share)}%")
    for part in [*_parts(tally, live), title]:
        if line.cell_len + len(_GAP) + cell_len(part) <= width:
            line.append(_GAP + part)
    line.truncate(width)
    return line


def _bar(share: float, width: int, *, ascii_only: bool) -> Text:
    done, rest = ("#", "-") if ascii_only else ("━", "╌")
    filled = int(share * width)
    return Text.assemble((done * filled, "green"), (rest * (width - filled), "dim"), no_wrap=True)


def _parts(tally: Tally, live: Live) -> Iterator[str]:
    """The most important first."""
    results, tokens = tally.rates()
    remaining = tally.remaining()
    if remaining is not None:
        yield f"ETA {duration(remaining)}"
    if live.paused_s:
        yield f"paused {duration(live.paused_s)}"
    if tally.failed:
        yield f"{tally.failed} failed"
    yield f"{number(results)}/s"
    yield f"{live.in_flight} of {live.concurrency} in flight"
    if retries := tally.retries(live):
        yield f"{retries} retried"
    if live.rate_limit:
        yield f"limit {live.rate_limit:g}/s"
    if tokens:
        yield f"{number(tokens)} tok/s"
