"""Turns a backend's own exceptions into errors of the sample that caused them."""

import asyncio
import logging
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from lm_eval_so.runner.backends.base import Send
from lm_eval_so.runner.errors import (
    APIConnectionError,
    APITimeoutError,
    BackendError,
    BackendFaultError,
    BackendSetupError,
    LmEvalError,
)
from lm_eval_so.runner.models import ChatResponse, RunRequest
from lm_eval_so.runner.text.exception_text import exception_text, message_text

_LOG = logging.getLogger(__name__)
_LONGEST_TRACEBACK = 4000  # characters: the end of it, which says most
_OURS = str(Path(__file__).resolve().parents[2])
_NOT_OF_THE_SAMPLE = (LmEvalError, asyncio.CancelledError, KeyboardInterrupt, SystemExit)
"""What a run, or its process, is ended with; who cancels is known to `Timeout`."""
_SHAPES = {"status_code": int, "retry_after": int | float, "headers": Mapping, "details": Mapping}
"""Of what a BackendError tells, each of which may be None."""


class FaultBoundary:
    """Makes sure that nothing that one sample causes ends the run.

    The traceback of each kind of fault is logged once. A fault that all of the first samples meet
    is found by `Evidence`, like any other refusal.
    """

    def __init__(self) -> None:
        self._logged: set[str] = set()

    def wrap(self, send: Send) -> Send:
        """``send`` that raises only errors of ours, and returns only a ChatResponse."""

        async def contained(request: RunRequest) -> ChatResponse:
            try:
                response = await send(request)
            except BackendError as error:
                if (misshapen := _misshapen(error)) is not None:
                    raise self._fault(request, misshapen) from error
                error.message = message_text(error.message)
                raise
            except _NOT_OF_THE_SAMPLE:
                raise
            except TimeoutError as error:  # the backend's own; our timeout cancels
                told = message_text(error) or "the backend gave up waiting"
                raise APITimeoutError(told) from error
            except ConnectionError as error:
                raise APIConnectionError(exception_text(error)) from error
            except BaseException as error:
                raise self._fault(request, error) from error
            if not isinstance(response, ChatResponse):
                name = type(response).__name__
                raise BackendFaultError(f"the backend's send returned {name}, and no ChatResponse")
            return response

        return contained

    def _fault(self, request: RunRequest, error: BaseException) -> BackendFaultError:
        name, where = type(error).__name__, where_raised(error)
        fault = BackendFaultError(
            f"the backend broke: {exception_text(error)}{where}",
            details={"type": name, "traceback": _traceback_of(error)},
        )
        if name + where not in self._logged:
            self._logged.add(name + where)
            _LOG.warning("sample %r: %s", request.sample_id, fault.message, exc_info=error)
        return fault


@contextmanager
def told_as_setup(method: str, *meant: type[Exception]) -> Iterator[None]:
    """What a method of a backend that answers no sample raises, as one sentence.

    Args:
        method: Its name.
        meant: What it may raise on purpose, beside our own errors.

    Raises:
        BackendSetupError: It broke.
    """
    on_purpose: tuple[type[Exception], ...] = (LmEvalError, *meant)
    try:
        yield
    except on_purpose:
        raise
    except Exception as error:
        raise BackendSetupError(
            f"the backend's {method} broke: {exception_text(error)}{where_raised(error)}"
        ) from error


def _misshapen(error: BackendError) -> TypeError | None:
    """What is wrong with an error of a backend that takes no care of its types."""
    name = type(error).__name__
    if not hasattr(error, "served_by"):
        return TypeError(f"{name} does not call the __init__ of BackendError")
    for field, shape in _SHAPES.items():
        value = getattr(error, field)
        if value is not None and (not isinstance(value, shape) or value != value):  # noqa: PLR0124 - NaN
            return TypeError(f"{name} has {field}={value!r}")
    return None


def where_raised(fault: BaseException) -> str:
    """`` (file:line, in function)`` of the user's code that raised; "" where nothing is known."""
    frames = traceback.extract_tb(fault.__traceback__)
    where = next(iter(_below_ours(frames)), frames[-1] if frames else None)
    if where is None:
        return ""
    return message_text(f" ({where.filename}:{where.lineno}, in {where.name})")


def _traceback_of(fault: BaseException) -> str:
    """As Python prints it, from the user's code on."""
    told = traceback.TracebackException.from_exception(fault)
    told.stack = traceback.StackSummary.from_list(_below_ours(told.stack))
    return "".join(told.format())[-_LONGEST_TRACEBACK:]


def _below_ours(frames: list[traceback.FrameSummary]) -> list[traceback.FrameSummary]:
    ours = [n for n, frame in enumerate(frames) if frame.filename.startswith(_OURS)]
    return frames[ours[-1] + 1 :] if ours else list(frames)
