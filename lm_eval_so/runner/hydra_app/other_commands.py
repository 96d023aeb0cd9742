"""``lm-eval-so report``, ``view``, ``export`` and ``merge``: what stands beside running."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from lm_eval_so.runner.hydra_app.public_output import fail

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_COMMANDS = ("report", "view", "export", "merge")
_SIMILAR = 0.75  # share of letters; ``preview``, a key of the config, is no ``view``


def other_command(word: str) -> Callable[[Sequence[str]], int] | None:
    """What carries out a command, given all arguments, by the first of them; None where Hydra does.

    A word that is nearly one is told so.
    """
    if word == "merge":
        from lm_eval_so.merge.cli import main as merge

        return lambda arguments: merge(arguments[1:])
    if word in _COMMANDS:
        from lm_eval_so.report.cli import main

        return main
    if near := get_close_matches(word, _COMMANDS, n=1, cutoff=_SIMILAR):
        return lambda _: fail(f"unknown command {word!r}; did you mean {near[0]!r}?")
    return None
