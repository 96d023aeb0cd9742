"""What the commands that read runs share: refusals in one sentence, inputs that stay."""

import argparse
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NoReturn

from lm_eval_so.runner.errors import ConfigError, LmEvalError
from lm_eval_so.runner.host.output import tell
from lm_eval_so.runner.run.exit_code import ExitCode
from lm_eval_so.runner.store.metadata import METADATA
from lm_eval_so.runner.store.parts import PARTS, SHARDS
from lm_eval_so.runner.store.parts.layout import JOINED
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


def carry_out(command: Callable[[], object]) -> int:
    """Runs a command, and tells in one sentence what ended it.

    Returns:
        0; 2 if it could not be carried out, 130 for Ctrl-C.
    """
    try:
        command()
    except SystemExit as end:  # --help
        return end.code if isinstance(end.code, int) else ExitCode.NOT_CARRIED_OUT
    except LmEvalError as error:
        tell(f"error: {error}")
        return ExitCode.NOT_CARRIED_OUT
    except KeyboardInterrupt:
        tell("error: interrupted; nothing was written")
        return ExitCode.INTERRUPTED
    return ExitCode.OK


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
    runs = list(directories)
    of_runs = (path / name for path in runs for name in (RESULTS, METADATA, SHARDS, JOINED))
    sweeps = (path / RECORD if path.is_dir() else path for path in named)
    read = {path.resolve() for path in (*of_runs, *sweeps, *scores)}
    parts = {(path / PARTS).resolve() for path in runs}
    if output.resolve() in read or output.resolve().parent in parts:
        raise ConfigError(f"-o {output} is a file that is read; choose another one")
