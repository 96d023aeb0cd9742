"""``lm-eval-so``: Hydra composes the config, a run carries it out, the exit code tells."""

from __future__ import annotations

import os
import shlex
import sys
import traceback
from contextlib import closing, nullcontext
from typing import TYPE_CHECKING, NoReturn

import hydra

from lm_eval_so._version import __version__
from lm_eval_so.runner.errors import LmEvalError
from lm_eval_so.runner.host.output import keep_output, lasting_output, show, tell
from lm_eval_so.runner.hydra_app.arguments import for_hydra, only_prints
from lm_eval_so.runner.hydra_app.command import Command
from lm_eval_so.runner.hydra_app.explain import COMPOSITION_ERRORS, explain
from lm_eval_so.runner.hydra_app.hydra_process import hydra_process, wants_traceback
from lm_eval_so.runner.hydra_app.hydra_task import HydraTask
from lm_eval_so.runner.hydra_app.other_commands import other_command
from lm_eval_so.runner.hydra_app.public_output import fail, public_prints, public_text
from lm_eval_so.runner.hydra_app.typed_secrets import handed_on_secrets, mask_secrets
from lm_eval_so.runner.run.exit_code import ExitCode, by_signal
from lm_eval_so.runner.run.signals import InterruptedRunError, as_own_process

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path


def main(arguments: Sequence[str] | None = None, *, resume_command: str | None = None) -> int:
    """Runs the command line.

    Args:
        arguments: Hydra's overrides and flags; those of the process if None.
        resume_command: The command that resumes the run; made of the arguments if None.

    Returns:
        0 every sample ok, 1 some failed, 2 not carried out, 130 Ctrl-C, 143 SIGTERM, 129 SIGHUP.
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    with lasting_output(), handed_on_secrets():
        if given == ["--version"]:
            show(f"lm-eval-so {__version__}")
            return ExitCode.OK
        if given and (other := other_command(given[0])):
            return _interruptible(other, given)
        if not _has_working_directory():
            return fail("the working directory does not exist any more; cd into one that does")
        shown = resume_command or shlex.join(["lm-eval-so", *mask_secrets(given)])
        return _run(Command(shown), given)


def script() -> NoReturn:
    """The console script."""
    keep_output()
    as_own_process(main)


def _interruptible(other: Callable[[Sequence[str]], int], given: Sequence[str]) -> int:
    try:
        return other(given)
    except KeyboardInterrupt:
        return fail("interrupted", ExitCode.INTERRUPTED)


def _run(command: Command, arguments: Sequence[str]) -> int:
    try:
        with closing(command):
            exit_code = _compose_and_run(command, arguments)
            command.end_tracking(exit_code)
    except KeyboardInterrupt:  # while MLflow was waited for
        return fail("interrupted", ExitCode.INTERRUPTED)
    return exit_code


def _compose_and_run(command: Command, arguments: Sequence[str]) -> int:
    folders: list[Path] = []
    try:
        config_path, ready = for_hydra(arguments)
        folders.append(config_path)
        with hydra_process(ready), public_prints() if only_prints(ready) else nullcontext():
            decorate = hydra.main(
                version_base="1.3", config_path=str(config_path), config_name="config"
            )
            decorate(HydraTask(command))()
    except SystemExit as end:
        return _of_exit(end.code, command)
    except KeyboardInterrupt:
        code = command.exit_code
        return code if by_signal(code) else fail("interrupted", ExitCode.INTERRUPTED)
    except InterruptedRunError as signal:  # it had to be raised, whatever went on
        return fail(signal, signal.exit_code)
    except (*COMPOSITION_ERRORS, ValueError, OSError, TypeError, RecursionError) as error:
        if command.has_composed and not isinstance(error, COMPOSITION_ERRORS):
            raise  # a bug: the last four are Hydra's only while it composes
        if wants_traceback():
            tell(public_text(traceback.format_exc()))
        return fail(explain(error, folders))
    except LmEvalError as error:
        return fail(error)
    return command.exit_code


def _of_exit(code: object, command: Command) -> int:
    """The exit code of a SystemExit; Hydra's own, before a config was composed, is 2."""
    if not code:
        return ExitCode.OK
    return code if isinstance(code, int) and command.has_composed else ExitCode.NOT_CARRIED_OUT


def _has_working_directory() -> bool:
    try:
        return bool(os.getcwd())  # noqa: PTH109 - Path.cwd() is the same call
    except OSError:
        return False
