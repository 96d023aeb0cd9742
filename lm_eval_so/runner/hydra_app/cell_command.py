"""The command that runs one cell of a sweep alone."""

import shlex
from collections.abc import Iterator, Sequence

from lm_eval_so.runner.hydra_app.arguments import FOLDER_FLAGS, MAIN_FLAGS
from lm_eval_so.runner.hydra_app.typed_secrets import mask_hidden

_FLAGS = {*FOLDER_FLAGS, *MAIN_FLAGS}


def cell_command(sweep: str, overrides: Sequence[str]) -> str:
    """The command, without secrets.

    Args:
        sweep: The command of the sweep, whose flags tell where configs are.
        overrides: Of the cell, as Hydra got them.
    """
    return shlex.join(["lm-eval-so", *mask_hidden(overrides), *_flags(shlex.split(sweep))])


def _flags(words: Sequence[str]) -> Iterator[str]:
    remaining = iter(words)
    for word in remaining:
        flag, equals, _ = word.partition("=")
        if flag in _FLAGS:
            yield word
            if not equals:
                yield from (value for value in [next(remaining, None)] if value is not None)
