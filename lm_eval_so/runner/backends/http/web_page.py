"""Web pages that come instead of an answer: recognises them, and quotes them in a sentence."""

import re
from html import unescape

_LONGEST_PAGE = 4000  # characters; the title stands at the top
_LONGEST_WORDS = 200  # characters that are quoted
_BLANK = "\ufeff \t\r\n"
_NOT_SHOWN = re.compile(r"(?is)<(script|style|title)\b.*?</\1>|<[^>]*>")


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
