"""The values that travel through a run, and the lines that are left of it."""

from lm_eval_so.runner.models.config import RecordedConfig, RunConfig
from lm_eval_so.runner.models.outcome import Outcome
from lm_eval_so.runner.models.request import Journal, RunRequest
from lm_eval_so.runner.models.response import AnswerChoice, ChatResponse, TokenUsage
from lm_eval_so.runner.models.result import (
    SCHEMA_VERSION,
    Attempt,
    RequestContext,
    RunError,
    RunResult,
    Status,
    Wait,
)
from lm_eval_so.runner.models.sample import SAMPLE_PARAMETERS, Message, Role, TestSample
from lm_eval_so.runner.models.value import Value

__all__ = [
    "SAMPLE_PARAMETERS",
    "SCHEMA_VERSION",
    "AnswerChoice",
    "Attempt",
    "ChatResponse",
    "Journal",
    "Message",
    "Outcome",
    "RecordedConfig",
    "RequestContext",
    "Role",
    "RunConfig",
    "RunError",
    "RunRequest",
    "RunResult",
    "Status",
    "TestSample",
    "TokenUsage",
    "Value",
    "Wait",
]
