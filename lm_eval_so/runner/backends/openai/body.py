"""A body as it came: JSON, or a page for a browser."""

import json
import re
from html import unescape
from math import isfinite

import orjson

from lm_eval_so.runner.errors import InvalidResponseError, one_line
from lm_eval_so.runner.text.sanitise import sanitise_json

_OK = 200
_LONGEST_EXCERPT = 500  # characters
_LONGEST_PAGE = 4000  # characters; the title stands at the top
_LONGEST_WORDS = 200  # characters of a page that are quoted
_DIGITS_OF_64_BITS = 20
_BLANK = "\ufeff \t\r\n"
_NOT_SHOWN = re.compile(r"(?is)<(script|style|title)\b.*?</\1>|<[^>]*>")


def read_json(body: bytes) -> object:
    """The body's JSON, all of which can be written again.

    Raises:
        InvalidResponseError: It is no JSON.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        pass
    try:
        return sanitise_json(_read_leniently(body))
    except (ValueError, RecursionError) as error:
        text = body.decode(errors="replace")
        raise not_a_completion(_instead_of_json(text, error), text) from error


def _instead_of_json(text: str, error: Exception) -> str:
    """What a body is that is no JSON, with its words where it is made of such."""
    if is_page(text):
        return f"a web page: {page_words(text)}"
    start = text[:_LONGEST_PAGE].lstrip(_BLANK)
    if not start:
        return "nothing at all"
    if start.startswith(("{", "[")):
        return f"no JSON ({error})"
    return f"no JSON, but: {one_line(start, _LONGEST_WORDS)}"


def read_piece(text: bytes) -> object:
    """The JSON of a piece of an answer, which may hold halves of characters.

    Raises:
        ValueError, RecursionError: It is no JSON.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return _read_leniently(text)


def _read_leniently(body: bytes) -> object:
    """What the SDK takes, and a little more.

    NaN and the infinities (of log-probabilities) become text; a byte that is no UTF-8 costs one
    character; line breaks within strings, lone surrogates and a BOM are fine.
    """
    return json.loads(
        body.decode(json.detect_encoding(body), "replace"),
        strict=False,
        parse_constant=str,
        parse_float=_number,
        parse_int=_number,
    )


def _number(digits: str) -> float | str:
    """A number as a reader of the results can take it; beyond the range of a float, text."""
    if len(digits) <= _DIGITS_OF_64_BITS and digits.lstrip("-").isdecimal():
        return int(digits)
    number = float(digits)
    return number if isfinite(number) else digits


def not_a_completion(reason: str, body: object) -> InvalidResponseError:
    """What to raise for a 200 with this body."""
    excerpt = body if isinstance(body, str) else orjson.dumps(sanitise_json(body)).decode()
    return InvalidResponseError(
        f"the answer is no completion: {reason}",
        status_code=_OK,
        details={"body": excerpt[:_LONGEST_EXCERPT]},
    )


def is_page(text: str) -> bool:
    """Whether it is HTML or XML, as of a gateway, a login page or a wrong address."""
    start = text[:_LONGEST_PAGE].lstrip(_BLANK)
    return start.startswith("<") and ("</" in start or start.lower().startswith("<!doctype"))


def page_words(text: str) -> str:
    """The title of a page, else its first words, on one line."""
    page = text[:_LONGEST_PAGE].lstrip(_BLANK)
    words = _title(page) or unescape(_NOT_SHOWN.sub(" ", page))
    return " ".join(words.split())[:_LONGEST_WORDS] or "(no words)"


def _title(page: str) -> str:
    lower = page.lower()
    start = lower.find(">", lower.find("<title")) + 1
    end = lower.find("</title", start)
    found = "<title" in lower and start > 0 and end > start
    return unescape(page[start:end]).strip() if found else ""
