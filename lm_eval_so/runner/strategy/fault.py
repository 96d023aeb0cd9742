"""Makes exceptions of a backend's own into errors of the sample that caused them."""

import logging
import traceback
from pathlib import Path

from lm_eval_so.runner.backends.base import Send
from lm_eval_so.runner.errors import (
    APIConnectionError,
    APITimeoutError,
    BackendFaultError,
    LmEvalError,
)
from lm_eval_so.runner.models import ChatResponse, RunRequest

_LOG = logging.getLogger(__name__)
_OURS = str(Path(__file__).resolve().parents[2])


def contained(send: Send) -> Send:
    """Wraps ``send`` so that nothing that one sample causes ends the run.

    The traceback of each kind goes to the log once. What all of the first samples meet is found
    by `evidence`, like any other refusal.
    """
    told: set[str] = set()

    async def containing(request: RunRequest) -> ChatResponse:
        try:
            response = await send(request)
        except LmEvalError:
            raise
        except TimeoutError as error:  # a bound of the backend's own: ours cancels
            raise APITimeoutError(str(error) or "the backend gave up waiting") from error
        except ConnectionError as error:
            raise APIConnectionError(f"{type(error).__name__}: {error}") from error
        except Exception as error:
            fault = _fault(error)
            kind = f"{type(error).__name__}{where_raised(error)}"
            if kind not in told:
                told.add(kind)
                _LOG.warning("sample %r: %s", request.sample_id, fault.message, exc_info=error)
            raise fault from error
        if not isinstance(response, ChatResponse):
            name = type(response).__name__
            raise BackendFaultError(f"the backend's send returned {name}, and no ChatResponse")
        return response

    return containing


def where_raised(fault: BaseException) -> str:
    """`` (file:line, in function)`` in a user's own code, below our last frame."""
    frames = traceback.extract_tb(fault.__traceback__)
    ours = [n for n, frame in enumerate(frames) if frame.filename.startswith(_OURS)]
    below = frames[ours[-1] + 1 :] if ours else frames
    where = next(iter(below), frames[-1] if frames else None)
    if where is None:
        return ""
    return f" ({where.filename}:{where.lineno}, in {where.name})"


def _fault(error: Exception) -> BackendFaultError:
    name = type(error).__name__
    return BackendFaultError(
        f"the backend broke: {name}: {error}{where_raised(error)}", details={"type": name}
    )
