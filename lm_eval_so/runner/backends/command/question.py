"""A request as a command gets it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from lm_eval_so.runner.config.identity import sent
from lm_eval_so.runner.errors import BackendError

if TYPE_CHECKING:
    from lm_eval_so.runner.models import RunRequest


def as_json(request: RunRequest) -> bytes:
    """The request as one line of JSON.

    What the sample expects is not in it, and neither are its tags and metadata: they are no part of
    the question, and a change of them asks nothing again.
    """
    config = request.run_config
    question = {
        "id": request.sample_id,
        "messages": request.messages,
        "model": config.model,
        "params": {**sent(config.parameters), **request.parameters},
        "trace_id": request.trace_id,
        "repeat": request.repeat,
    }
    return orjson.dumps(question) + b"\n"


def as_text(request: RunRequest) -> bytes:
    """The text of the last user turn, as a line.

    Raises:
        BackendError: There is no such turn, or it holds more than text.
    """
    turns = [message for message in request.messages if message["role"] == "user"]
    if not turns:
        raise _not_sent("the sample has no user turn")
    content = turns[-1].get("content") or ""
    if not isinstance(content, str):
        if any(part.get("type") != "text" for part in content):
            raise _not_sent("the last user turn holds more than text")
        content = "\n".join(str(part.get("text", "")) for part in content)
    return content.encode(errors="replace") + b"\n"


def _not_sent(reason: str) -> BackendError:
    return BackendError(
        f"{reason}; backend.options.input=sample sends it as JSON", sample_fault=True
    )
