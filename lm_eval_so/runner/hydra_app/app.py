"""``lm-eval-so``: Hydra composes the config, a run carries it out, the exit code tells."""

from __future__ import annotations

import argparse
import io
import logging
import os
import re
import shlex
import sys
import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

import hydra
from hydra.core.global_hydra import GlobalHydra

from lm_eval_so._version import __version__
from lm_eval_so.runner.errors import LmEvalError
from lm_eval_so.runner.host.output import keep_output, lasting_output, show, tell
from lm_eval_so.runner.hydra_app.arguments import for_hydra
from lm_eval_so.runner.hydra_app.composition import (
    COMPOSITION_ERRORS,
    explain,
    register,
    register_search,
)
from lm_eval_so.runner.hydra_app.hydra_task import HydraTask
from lm_eval_so.runner.hydra_app.typed import handed_on_secrets, mask_secret, mask_secrets
from lm_eval_so.runner.masking.yaml_text import without_secrets
from lm_eval_so.runner.run.exit_code import ExitCode, by_signal
from lm_eval_so.runner.run.signals import InterruptedRunError, own_process

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lm_eval_so.runner.masking.redactor import Redactor

_FULL_ERROR = "HYDRA_FULL_ERROR"
_RUNS = re.compile(r"--?(m|r|c(n|p|d|onfig)|p(ackage)?$|experimental).*|[^-].*")
"""Arguments with which something is run; others only print: ``--cfg``, ``--info``, ``--help``."""


def main(arguments: Sequence[str] | None = None, *, resume_command: str | None = None) -> int:
    """Runs the command line.

    Args:
        arguments: Hydra's overrides and flags; those of the process if None.
        resume_command: The command that goes on with the run; made of the arguments if None.

    Returns:
        0 every sample ok, 1 some failed, 2 not carried out, 130 Ctrl-C, 143 SIGTERM, 129 SIGHUP.
    """
    with lasting_output(), handed_on_secrets():
        return _main(sys.argv[1:] if arguments is None else list(arguments), resume_command)


def _main(arguments: list[str], resume_command: str | None) -> int:
    if arguments == ["--version"]:
        show(f"lm-eval-so {__version__}")
        return 0
    if not _has_working_directory():
        return fail("the working directory does not exist any more; cd into one that does")
    task = HydraTask(resume_command or shlex.join(["lm-eval-so", *mask_secrets(arguments)]))
    try:
        try:
            code = _carry_out(task, arguments)
            task.end_sweep(code)
        finally:
            task.close()
    except KeyboardInterrupt:  # while MLflow was waited for
        return fail("interrupted", ExitCode.INTERRUPTED)
    return code


def _carry_out(task: HydraTask, arguments: list[str]) -> int:
    wants_traceback = os.environ.get(_FULL_ERROR, "0") != "0"
    try:
        config_path, ready = for_hydra(arguments)
        with _hydra_process(ready), _shown_config(ready):
            decorate = hydra.main(
                version_base="1.3", config_path=str(config_path), config_name="config"
            )
            decorate(task)()
    except SystemExit as end:
        return ExitCode.NOT_CARRIED_OUT if end.code and not task.began else _code(end.code)
    except KeyboardInterrupt:
        return task.worst if by_signal(task.worst) else fail("interrupted", ExitCode.INTERRUPTED)
    except InterruptedRunError as signal:  # it had to be raised, whatever went on
        return fail(signal, signal.exit_code)
    except (*COMPOSITION_ERRORS, ValueError, OSError) as error:
        if task.began and not isinstance(error, COMPOSITION_ERRORS):
            raise  # these are Hydra's only while it composes
        if wants_traceback:
            tell(public_text(traceback.format_exc()))
        return fail(explain(error))
    except LmEvalError as error:
        return fail(error)
    return task.worst


def _code(code: object) -> int:
    if code is None:
        return 0
    return code if isinstance(code, int) else ExitCode.NOT_CARRIED_OUT


def fail(sentence: object, code: int = ExitCode.NOT_CARRIED_OUT) -> int:
    """Says why, and returns the exit code."""
    tell(f"error: {public_text(str(sentence))}")
    return code


def public_text(text: str) -> str:
    """A text as it may be shown, whoever put a secret into it."""
    return _redactor().text(mask_secret(text))


def _redactor() -> Redactor:
    from lm_eval_so.runner.masking.redactor import Redactor  # noqa: PLC0415 - not for a run
    from lm_eval_so.runner.masking.values import secrets_in_environment  # noqa: PLC0415 - as above

    return Redactor(secrets_in_environment())


def _has_working_directory() -> bool:
    try:
        return bool(os.getcwd())  # noqa: PTH109 - Path.cwd() is the same call
    except OSError:
        return False


def script() -> NoReturn:
    """The console script."""
    keep_output()
    own_process()
    sys.exit(main())


@contextmanager
def _shown_config(arguments: list[str]) -> Iterator[None]:
    """Takes secrets out of what is printed where nothing is run."""
    if all(_RUNS.fullmatch(argument) for argument in arguments if argument):
        yield
        return
    public = _redactor().data
    streams = sys.stdout, sys.stderr
    printed = sys.stdout, sys.stderr = io.StringIO(), io.StringIO()
    try:
        yield
    finally:
        sys.stdout, sys.stderr = streams
        for stream, text in zip(streams, printed, strict=True):
            stream.write(public(without_secrets(text.getvalue(), mask_secret)))


@contextmanager
def _hydra_process(arguments: list[str]) -> Iterator[None]:
    """What Hydra takes from the process, set for the time it runs."""
    if sys.version_info >= (3, 14):
        # Hydra 1.3.8 gives argparse a lazy help text, which 3.14 checks and refuses.
        argparse.ArgumentParser._check_help = lambda self, action: None  # type: ignore[attr-defined] # noqa: ARG005, SLF001
    register()
    register_search()
    before, full_error = sys.argv, os.environ.get(_FULL_ERROR)
    handlers, level = logging.root.handlers[:], logging.root.level
    sys.argv = ["lm-eval-so", *arguments]
    os.environ[_FULL_ERROR] = "1"  # so that its errors reach us, and not the terminal
    try:
        yield
    finally:
        sys.argv = before
        logging.root.handlers[:] = handlers  # --info sets up logging of its own
        logging.root.setLevel(level)
        if full_error is None:
            del os.environ[_FULL_ERROR]
        else:
            os.environ[_FULL_ERROR] = full_error
        GlobalHydra.instance().clear()
