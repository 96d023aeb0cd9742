"""Headers: what may be sent in one, and how those of an answer are read."""

import re
from collections.abc import Mapping

from lm_eval_so.runner.errors import BackendSetupError

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e]*")
_OF_THE_BODY = {"content-length", "transfer-encoding"}
_WAITS = "expect"  # for a "100 Continue" that most servers never send
_REQUEST_IDS = ("x-request-id", "request-id", "x-litellm-call-id")
"""The first that is there; ``request-id`` is Anthropic's."""


def header_fault(name: str, value: str) -> str | None:
    """What is wrong with a header, without its value, which may be a secret; None if nothing is.

    RFC 9110, 5.1 and 5.5; bytes beyond ASCII are allowed there, but mean different things to
    different servers, and the OpenAI SDK refuses them too.
    """
    if not _NAME.fullmatch(name):
        return f"{name!r} is no name of a header"
    if name.lower() in _OF_THE_BODY:
        return f"{name} cannot be set: it follows from what is sent"
    if name.lower() == _WAITS:
        return f"{name} cannot be set: most servers never send what it waits for"
    return value_fault(value)


def value_fault(value: str) -> str | None:
    """What is wrong with a header's value; None if nothing is."""
    if "\n" in value or "\r" in value:
        return "holds a line break, which no header can have"
    if not value.isascii():
        return "holds characters beyond ASCII, which no header can have"
    if not _VALUE.fullmatch(value):
        return "holds a control character, which no header can have"
    return None


def checked_header(name: str, value: str, source: str) -> tuple[str, str]:
    """The header as it is.

    Args:
        name: Of the header.
        value: Of the header.
        source: Where it was given, for the message: ``the variable NAME`` or an option.

    Raises:
        BackendSetupError: It cannot be sent.
    """
    if fault := header_fault(name, value):
        raise BackendSetupError(f"{source} {fault}")
    return name, value


def parse_headers(text: str) -> Mapping[str, str]:
    """Headers as in ``OPENAI_CUSTOM_HEADERS`` and its like: ``Name: value``, one a line.

    What has no colon is passed over, as the OpenAI SDK does.
    """
    pairs = (line.partition(":") for line in text.split("\n"))
    return {name.strip(): value.strip() for name, colon, value in pairs if colon}


def header_text(value: str) -> str:
    """The value of an answer's header as text that can be written.

    aiohttp reads bytes that are no UTF-8 as surrogates. They are taken for ISO-8859-1, which HTTP
    used to allow (RFC 9110, 5.5).
    """
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode(errors="surrogateescape").decode("latin-1")
    return value


def request_id(headers: Mapping[str, str]) -> str | None:
    """The provider's id of the request, else that of a gateway."""
    found = (headers.get(name) for name in _REQUEST_IDS)
    return next((header_text(value) for value in found if value), None)
