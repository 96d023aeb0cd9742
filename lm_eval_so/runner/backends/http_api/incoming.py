"""What the paths of the config look into: an answer as values."""

from __future__ import annotations

from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Any

from lm_eval_so.runner.backends.http.header import header_text
from lm_eval_so.runner.backends.http.json_body import read_json
from lm_eval_so.runner.errors import BackendError
from lm_eval_so.runner.text.sanitise import sanitise_text

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from lm_eval_so.runner.backends.http.response_body import Answer

BODY, TEXT = "body", "text"


def values_of(answer: Answer, names: Collection[str]) -> dict[str, Any]:
    """The values of these names; a body that is no JSON is None."""
    return {name: _PARTS[name](answer) for name in names}


def text_of(answer: Answer) -> str:
    """The body as text, in UTF-8."""
    return sanitise_text(answer.body.decode("utf-8-sig", errors="replace"))


def _json_or_none(answer: Answer) -> object:
    try:
        return read_json(answer.body)
    except BackendError:
        return None


def _headers(answer: Answer) -> dict[str, str]:
    """By their names in small letters; of several with one name, the first."""
    found: dict[str, str] = {}
    for name, value in answer.headers.items():
        found.setdefault(name.lower(), header_text(value))
    return found


def _cookies(answer: Answer) -> dict[str, str]:
    return cookies_of(answer.headers)


def cookies_of(headers: Mapping[str, str]) -> dict[str, str]:
    """The cookies that an answer sets, by their names."""
    found: dict[str, str] = {}
    for name, value in headers.items():
        if name.lower() == "set-cookie":
            try:
                parsed = SimpleCookie(header_text(value))
            except CookieError:
                continue
            found |= {key: morsel.value for key, morsel in parsed.items()}
    return found


_PARTS: dict[str, Callable[[Answer], Any]] = {
    "status": lambda answer: answer.status,
    "headers": _headers,
    BODY: _json_or_none,
    TEXT: text_of,
    "cookies": _cookies,
}
NAMES = frozenset(_PARTS)
"""All that a path can begin with."""
