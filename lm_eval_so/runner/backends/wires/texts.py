"""The texts of a content, in whatever form servers give it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lm_eval_so.runner.backends.http.json_body import invalid_body

if TYPE_CHECKING:
    from collections.abc import Iterator

_OF_TEXT = ("text", "output_text", None)  # types of parts; None: servers that do not say
_OF_PARTS = ("message", None)  # types of items that hold a content


def texts_of(content: object, problem: str) -> Iterator[str]:
    """The texts in a text alone, in a part, in an item with parts or in a list of any of these.

    Parts and items of other types, such as reasoning and calls, are passed over.

    Args:
        content: As it came.
        problem: The first words of the error's message.

    Raises:
        InvalidResponseError: Something in it is of no known kind.
    """
    match content:
        case None:
            pass
        case str(text):
            yield text
        case list(parts):
            for part in parts:
                yield from texts_of(part, problem)
        case dict(part) if part.get("type") in _OF_TEXT and ("text" in part or "value" in part):
            yield from texts_of(part.get("text", part.get("value")), problem)
        case dict(item) if item.get("type") in _OF_PARTS and "content" in item:
            yield from texts_of(item["content"], problem)
        case {"type": str()}:
            pass
        case _:
            raise invalid_body(f"{problem}: it holds something that is no text", content)
