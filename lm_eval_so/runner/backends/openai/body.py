"""A body as it came: JSON, or a page for a browser."""

import json
import re
from html import unescape

import orjson

from lm_eval_so.runner.errors import InvalidResponseError

_OK = 200
_LONGEST_EXCERPT = 500  # characters
_LONGEST_PAGE = 4000  # characters; the title stands at the top
_LONGEST_WORDS = 200  # characters of a page that are quoted
_BLANK = "\ufeff \t\r\n"
_NOT_SHOWN = re.compile(r"(?is)<(script|style|title)\b.*?</\1>|<[^>]*>")


def read_json(body: bytes) -> object:
    """The body's JSON; what only Python's own parser takes (a lone surrogate) is replaced by ``?``.

    Raises:
        InvalidResponseError: It is no JSON.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        pass
    try:
        return orjson.loads(
            json.dumps(json.loads(body), ensure_ascii=False).encode(errors="replace")
        )
    except (ValueError, RecursionError) as error:
        text = body.decode(errors="replace")
        reason = f"a web page: {page_words(text)}" if is_page(text) else f"no JSON ({error})"
        raise not_a_completion(reason, text) from error


def not_a_completion(reason: str, body: object) -> InvalidResponseError:
    """What to raise for a 200 with this body."""
    excerpt = body if isinstance(body, str) else orjson.dumps(body).decode()
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
