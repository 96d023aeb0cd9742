"""A few samples sent once, to see what is sent and what comes back; nothing is written."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import orjson

from lm_eval_so.runner.backends.base import Examined
from lm_eval_so.runner.errors import APITimeoutError, BackendFaultError
from lm_eval_so.runner.masking.visible import visible
from lm_eval_so.runner.models import RunRequest
from lm_eval_so.runner.run.prepare import Prepared
from lm_eval_so.runner.run.preview import first_requests, shown_request
from lm_eval_so.runner.strategy.fault import where_raised
from lm_eval_so.runner.text.exception_text import exception_text

_LONGEST = 1000  # characters of a value


async def checks(prepared: Prepared, count: int) -> AsyncIterator[tuple[str, bool]]:
    """What is sent and found for the first samples, and whether there is an answer.

    Nothing is tried again, and no limit is kept.

    Args:
        prepared: The run.
        count: Samples at the most.
    """
    requests = [request async for request in first_requests(prepared, count)]
    shown = [shown_request(await prepared.backend.preview(each), prepared) for each in requests]
    async with prepared.backend:  # previews open it themselves
        for request, outgoing in zip(requests, shown, strict=True):
            examined = await _examined(prepared, request)
            yield (
                f"# {request.sample.id}\n{outgoing}\n{_found(examined, prepared)}",
                (examined.error is None),
            )


async def _examined(prepared: Prepared, request: RunRequest) -> Examined:
    seconds = prepared.plan.options.timeout
    try:
        async with asyncio.timeout(seconds):
            return await prepared.backend.try_once(request)
    except TimeoutError:
        return Examined([], APITimeoutError(f"no answer within {seconds:g} s"))
    except Exception as error:  # noqa: BLE001 - a fault costs its sample, as in a run
        fault = f"the backend broke: {exception_text(error)}{where_raised(error)}"
        return Examined([], BackendFaultError(fault))


def _found(examined: Examined, prepared: Prepared) -> str:
    redactor, error = prepared.placed.redactor, examined.error
    lines = [f"{each.name}: {_short(redactor.data(each.value))}" for each in examined.findings]
    if error is None:
        return "\n".join([*lines, "=> an answer", ""])
    lines.append(f"=> no answer: {error.error_type}: {redactor.text(error.message)}")
    if error.details:
        lines.append(f"details: {_short(redactor.details(dict(error.details)))}")
    return "\n".join([*map(visible, lines), ""])


def _short(value: Any) -> str:  # noqa: ANN401 - any JSON value
    text = visible(orjson.dumps(value, default=str).decode())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
