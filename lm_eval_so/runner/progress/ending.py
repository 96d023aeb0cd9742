"""Why a run did not come to its end, and what to do: a sentence for a person."""

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
    """Says why the run did not come to its end; returns the sentence.

    Args:
        report: How it ended.
        resume_command: The command that goes on with it; None where that is said elsewhere.
    """
    fault = report.fault
    match fault:
        case None:
            return None
        case InterruptedRunError():
            _LOG.warning("%s; what was received is kept.%s", fault, _way_out(fault, resume_command))
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
        "%s; what was received is kept, and the traceback is in %s",
        sentence,
        report.run_dir / LOG,
        exc_info=fault,
    )
    return sentence


def _way_out(fault: BaseException, resume_command: str | None) -> str:
    """How to go on; the same command is not named where it must fail again."""
    match fault:
        case BudgetSpentError():  # its own words name what to change
            return ""
        case BackendUnusableError():
            return (
                " What was received is kept: once this is mended, the run goes on where it stopped."
            )
        case _ if resume_command is None:
            return ""
        case RunDirectoryBusyError():
            return f" Once it has ended, go on with: {resume_command}"
        case StoreError():
            return f" When this is mended, go on with: {resume_command}"
    return f" Go on with: {resume_command}"
