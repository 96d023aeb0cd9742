"""lm-eval-so: one result per sample from every model and parameter setting you compare.

The names below are loaded when they are first used, so that ``import lm_eval_so`` and the command
line's ``--help`` cost nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from lm_eval_so._version import __version__

if TYPE_CHECKING:
    from lm_eval_so.runner.api import run, run_async, stream, stream_async
    from lm_eval_so.runner.backends.base import ChatBackend
    from lm_eval_so.runner.config.schema import (
        PromptConfig,
        RunnerOptions,
        SelectConfig,
        TrackingConfig,
    )
    from lm_eval_so.runner.errors import BackendError, LmEvalError
    from lm_eval_so.runner.models import (
        ChatResponse,
        Message,
        RunConfig,
        RunError,
        RunRequest,
        RunResult,
        TestSample,
        TokenUsage,
    )
    from lm_eval_so.runner.run.report import RunReport
    from lm_eval_so.runner.store.read import read_results

_HOMES = {
    "BackendError": "errors",
    "ChatBackend": "backends.base",
    "ChatResponse": "models",
    "LmEvalError": "errors",
    "Message": "models",
    "PromptConfig": "config.schema",
    "RunConfig": "models",
    "RunError": "models",
    "RunReport": "run.report",
    "RunRequest": "models",
    "RunResult": "models",
    "RunnerOptions": "config.schema",
    "SelectConfig": "config.schema",
    "TestSample": "models",
    "TokenUsage": "models",
    "TrackingConfig": "config.schema",
    "read_results": "store.read",
    "run": "api",
    "run_async": "api",
    "stream": "api",
    "stream_async": "api",
}

__all__ = [
    "BackendError",
    "ChatBackend",
    "ChatResponse",
    "LmEvalError",
    "Message",
    "PromptConfig",
    "RunConfig",
    "RunError",
    "RunReport",
    "RunRequest",
    "RunResult",
    "RunnerOptions",
    "SelectConfig",
    "TestSample",
    "TokenUsage",
    "TrackingConfig",
    "__version__",
    "read_results",
    "run",
    "run_async",
    "stream",
    "stream_async",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever the name stands for
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"lm_eval_so.runner.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
