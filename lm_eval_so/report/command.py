"""What the commands that read runs share: refusals in one sentence, inputs that stay."""

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NoReturn

from lm_eval_so.runner.errors import ConfigError
from lm_eval_so.runner.store.metadata import METADATA
from lm_eval_so.runner.store.results import RESULTS
from lm_eval_so.runner.sweep.record import RECORD


class Parser(argparse.ArgumentParser):
    """Raises a ConfigError where argparse would print its usage and exit."""

    def error(self, message: str) -> NoReturn:
        """Refuses the command line.

        Raises:
            ConfigError: Always.
        """
        raise ConfigError(f"{message} (see {self.prog} --help)")


def check_output(
    output: Path, directories: Iterable[Path], named: Sequence[Path], scores: Sequence[Path]
) -> None:
    """Makes sure that a file which is going to be written is none of those that are read.

    Args:
        output: The file.
        directories: Of the runs.
        named: What the person named: runs, folders, sweeps.
        scores: Files of scores.

    Raises:
        ConfigError: It is one of them.
    """
    of_runs = (path / name for path in directories for name in (RESULTS, METADATA))
    sweeps = (path / RECORD if path.is_dir() else path for path in named)
    if output.resolve() in {path.resolve() for path in (*of_runs, *sweeps, *scores)}:
        raise ConfigError(f"-o {output} is a file that is read; choose another one")
