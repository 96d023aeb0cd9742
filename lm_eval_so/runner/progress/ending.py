"""Why a run stopped early, and what to do: a sentence for a person."""

import logging

from lm_eval_so.runner.errors import (
    BackendFaultError,
    BackendUnusableError,
    BudgetSpentError,
    LmEvalError,
    RunDirectoryBusyError,
    StoreError,
)
from lm_eval_so.runner.run.log import LOG
from lm_eval_so.runner.run.report import RunReport
from lm_eval_so.runner.run.signals import InterruptedRunError
from lm_eval_so.runner.strategy.fault import where_raised

_LOG = logging.getLogger(__name__)


def explain(report: RunReport, resume_command: str | None) -> str | None:
    """Logs why the run stopped early; returns the sentence.

    Args:
        report: How it ended.
        resume_command: The command that resumes it; None if it is printed elsewhere.
    """
    fault = report.fault
    match fault:
        case None:
            return None
        case InterruptedRunError():
            _LOG.warning(
                "%s; all received results are kept.%s", fault, _way_out(fault, resume_command)
            )
            return str(fault)
        case BackendUnusableError(__cause__=BackendFaultError(__cause__=Exception())):
            log = report.run_dir / LOG
            way_out = _way_out(fault, resume_command)
            _LOG.error("%s; the traceback is in %s.%s", str(fault).rstrip("."), log, way_out)
            return str(fault)
        case LmEvalError():
            _LOG.error("%s.%s", str(fault).rstrip("."), _way_out(fault, resume_command))
            return str(fault)
    sentence = f"a bug: {type(fault).__name__}: {fault}{where_raised(fault)}"
    _LOG.error(
        "%s; all received results are kept; the traceback is in %s",
        sentence,
        report.run_dir / LOG,
        exc_info=fault,
    )
    return sentence


def _way_out(fault: BaseException, resume_command: str | None) -> str:
    """How to resume; no command is given if it would fail again."""
    match fault:
        case BudgetSpentError():  # its message says what to change
            return ""
        case BackendUnusableError():
            return " All received results are kept. Fix this, then run the command again to resume."
        case _ if resume_command is None:
            return ""
        case RunDirectoryBusyError():
            return f" When it has ended, resume with: {resume_command}"
        case StoreError():
            return f" Fix this, then resume with: {resume_command}"
    return f" Resume with: {resume_command}"
