"""Reads a body as JSON, repairs what is damaged, and says what else it is."""

import json
from math import isfinite

import orjson

from lm_eval_so.runner.backends.http.web_page import is_page, page_words
from lm_eval_so.runner.errors import InvalidResponseError
from lm_eval_so.runner.text.one_line import one_line
from lm_eval_so.runner.text.sanitise import sanitise_json

_OK = 200
_LONGEST_EXCERPT = 500  # characters
_LONGEST_START = 4000  # characters
_LONGEST_WORDS = 200  # characters that are quoted
_DIGITS_OF_64_BITS = 20
_BLANK = "\ufeff \t\r\n"
_UNREADABLE = "the answer cannot be read"


def read_json(body: bytes, problem: str = _UNREADABLE) -> object:
    """The body's JSON, all of which can be written again.

    Args:
        body: As it came.
        problem: The first words of the error's message.

    Raises:
        InvalidResponseError: It is no JSON.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        pass
    try:
        return sanitise_json(_read_leniently(body))
    except ValueError as error:
        text = body.decode(errors="replace")
        raise invalid_body(f"{problem}: {_instead_of_json(text, error)}", text) from error


def _instead_of_json(text: str, error: ValueError) -> str:
    """What a body is that is no JSON, with its words where it is made of such."""
    if is_page(text):
        return f"a web page: {page_words(text)}"
    start = text[:_LONGEST_START].lstrip(_BLANK)
    if not start:
        return "nothing at all"
    if start.startswith(("{", "[")):
        return f"no JSON ({error})"
    return f"no JSON, but: {one_line(start, _LONGEST_WORDS)}"


def read_piece(text: bytes) -> object:
    """The JSON of a piece of an answer, which may hold halves of characters.

    Raises:
        ValueError: It is no JSON.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return _read_leniently(text)


def _read_leniently(body: bytes) -> object:
    """What the OpenAI SDK takes, and a little more.

    NaN and the infinities (of log-probabilities) become text; a byte that is no UTF-8 costs one
    character; line breaks within strings, lone surrogates and a BOM are fine.
    """
    try:
        return json.loads(
            body.decode(json.detect_encoding(body), "replace"),
            strict=False,
            parse_constant=str,
            parse_float=_number,
            parse_int=_number,
        )
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error


def _number(digits: str) -> float | str:
    """A number as a reader of the results can take it; beyond the range of a float, text."""
    if len(digits) <= _DIGITS_OF_64_BITS and digits.lstrip("-").isdecimal():
        return int(digits)
    number = float(digits)
    return number if isfinite(number) else digits


def invalid_body(message: str, body: object) -> InvalidResponseError:
    """What to raise for a 200 with this body, which is text or JSON data."""
    excerpt = body if isinstance(body, str) else orjson.dumps(sanitise_json(body)).decode()
    return InvalidResponseError(
        message, status_code=_OK, details={"body": excerpt[:_LONGEST_EXCERPT]}
    )
