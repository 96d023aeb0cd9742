"""What can stand in a header."""

import re
from collections.abc import Mapping

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e]*")
_OF_THE_BODY = {"content-length", "transfer-encoding"}
_WAITS = "expect"  # for a "100 Continue" that most servers never send


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


def parse_headers(text: str) -> Mapping[str, str]:
    """Headers as ``OPENAI_CUSTOM_HEADERS`` holds them: ``Name: value``, one a line.

    What has no colon is passed over, as the SDK does.
    """
    pairs = (line.partition(":") for line in text.split("\n"))
    return {name.strip(): value.strip() for name, colon, value in pairs if colon}
