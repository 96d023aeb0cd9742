"""Requests as they would be sent, to look at; nothing is sent, and nothing is written."""

from collections.abc import AsyncIterator
from itertools import islice

import orjson

from lm_eval_so.runner.backends.base import Outgoing
from lm_eval_so.runner.dataset.reader import read_checked
from lm_eval_so.runner.masking.names import is_secret_name
from lm_eval_so.runner.masking.redactor import Redactor
from lm_eval_so.runner.masking.values import MASK
from lm_eval_so.runner.masking.visible import visible_lines
from lm_eval_so.runner.models import RunRequest
from lm_eval_so.runner.request.media import filled_request
from lm_eval_so.runner.run.prepare import Prepared


async def previews(prepared: Prepared, count: int) -> AsyncIterator[str]:
    """The first requests of a run, without secrets: method, address, headers, body.

    Args:
        prepared: The run.
        count: Requests at the most.
    """
    async for request in first_requests(prepared, count):
        outgoing = await prepared.backend.preview(request)
        yield f"# {request.sample.id}\n{shown_request(outgoing, prepared)}"


async def first_requests(prepared: Prepared, count: int) -> AsyncIterator[RunRequest]:
    """The first requests of a run, as they would be sent.

    Args:
        prepared: The run.
        count: Requests at the most.
    """
    samples = enumerate(read_checked(prepared.source.reader, prepared.dataset))
    selected = (each for each in samples if prepared.selection.includes(each[0]))
    for index, sample in islice(selected, count):
        request = prepared.requests.build(sample, index, 0, prepared.requests.key(sample))
        if prepared.backend.files_in is not None:
            request = await filled_request(request, prepared.backend.files_in)
        yield request


def shown_request(outgoing: Outgoing, prepared: Prepared) -> str:
    """Method, address, headers and body, without secrets."""
    redactor, secrets = prepared.placed.redactor, set(prepared.backend.secrets)

    def shown(name: str, value: str) -> str:
        public = redactor.text(value)
        is_shown = value in secrets or (public == value and is_secret_name(name))
        return MASK if is_shown else public

    return "\n".join(
        [
            f"{outgoing.method} {redactor.text(outgoing.address)}".lstrip(),
            *(f"{name}: {shown(name, value)}" for name, value in outgoing.headers),
            "",
            _body(outgoing.body, redactor),
            "",
        ]
    )


def _body(body: bytes, redactor: Redactor) -> str:
    """JSON, indented; a form as it is."""
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError:
        return visible_lines(redactor.own_text(body.decode(errors="replace")))
    return orjson.dumps(redactor.data(data), option=orjson.OPT_INDENT_2).decode()
