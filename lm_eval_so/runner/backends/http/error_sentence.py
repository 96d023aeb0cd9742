"""Finds the sentence in what describes an error, in any of the shapes that servers give it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterable

_SENTENCES = (
    "message",  # OpenAI and most others; AWS as `Message`
    "msg",  # FastAPI, of one fault
    "errormessage",  # AWS Lambda
    "errormsg",  # Baidu
    "errmsg",
    "statusmsg",  # MiniMax
    "statusmessage",
    "resultmsg",
    "resultmessage",
    "retmsg",
    "faultstring",  # Apigee, SOAP
)
"""Names of what tells all, as they are compared (`plain_name`); the first that is there counts."""
_TITLES = ("error", "title")  # OAuth, Ollama; RFC 9457
_REASONS = ("errordescription", "detail", "details", "description", "reason", "errors")
"""Of OAuth, FastAPI and RFC 9457, gateways, Telegram, Elasticsearch, ASP.NET."""
_MOST_NESTED = 6


def plain_name(name: str) -> str:
    """A name as it is compared: servers differ in case, ``_`` and ``-``."""
    return name.lower().replace("_", "").replace("-", "")


def by_plain_name(fields: dict[str, Any]) -> dict[str, Any]:
    """An object by its names as they are compared."""
    return {plain_name(name): value for name, value in reversed(fields.items())}


def sentence_in(value: object, nested: int = 0) -> str:
    """The sentence in a value, on one line; empty where there is none.

    Of a list of what is wrong with the request (FastAPI), it tells the places and not what was
    sent there.
    """
    match value:
        case str():
            return _of_text(value, nested)
        case list() if nested < _MOST_NESTED:
            return _joined("; ", (sentence_in(item, nested + 1) for item in value))
        case dict() if nested < _MOST_NESTED:
            return _of_object(value, nested + 1)
        case int() | float() if not isinstance(value, bool):
            return str(value)
    return ""


def json_in(text: object) -> object:
    """The list or object that a text is; None where it is none."""
    if isinstance(text, str) and text.lstrip().startswith(("{", "[")):
        with suppress(ValueError):
            return orjson.loads(text)
    return None


def _of_text(text: str, nested: int) -> str:
    if found := sentence_in(json_in(text), nested + 1):
        return found
    return " ".join(text.split())


def _of_object(fields: dict[str, Any], nested: int) -> str:
    names = by_plain_name(fields)
    if found := _first(names, _SENTENCES, nested):
        place = names.get("loc")
        return f"{'.'.join(map(str, place))}: {found}" if isinstance(place, list) else found
    title, reason = _first(names, _TITLES, nested), _first(names, _REASONS, nested)
    if found := _joined(": ", (title.rstrip(".:") if reason else title, reason)):
        return found
    if nested > 1 and all(isinstance(value, list) for value in fields.values()):  # by field
        said = {name: sentence_in(value, nested) for name, value in fields.items()}
        return _joined("; ", (f"{name}: {words}" for name, words in said.items() if words))
    return ""


def _first(names: dict[str, Any], wanted: Iterable[str], nested: int) -> str:
    found = (sentence_in(names.get(name), nested) for name in wanted)
    return next(filter(None, found), "")


def _joined(between: str, parts: Iterable[str]) -> str:
    return between.join(dict.fromkeys(filter(None, parts)))
