"""Redirects: which are followed, and the message for the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lm_eval_so.runner.backends.http.header import header_text
from lm_eval_so.runner.masking.values import without_userinfo

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp import ClientResponse
    from yarl import URL

_KEEP_THE_QUESTION = (307, 308)
_LONGEST_PLACE = 200  # characters of an address
REDIRECTS = range(300, 400)


def moved_to(answer: ClientResponse) -> URL | None:
    """Where to send the question instead; None where it has to stay."""
    place = answer.headers.get("Location")
    if answer.status not in _KEEP_THE_QUESTION or not place:
        return None
    try:
        moved = answer.url.join(type(answer.url)(place)).with_user(None)
    except ValueError:
        return None
    safer = (answer.url.scheme, moved.scheme) == ("http", "https")
    same_host = moved.host == answer.url.host and (safer or moved.origin() == answer.url.origin())
    return moved if same_host else None


def redirected(status_code: int, headers: Mapping[str, str]) -> str:
    """The message for a redirect that is not followed."""
    if not headers.get("location"):
        return f"the server answers {status_code}, and says neither an answer nor a place to ask"
    place = without_userinfo(header_text(headers.get("location", ""))).partition("?")[0]
    keeps = status_code in _KEEP_THE_QUESTION
    loss = "hand the question to another host" if keeps else "lose the question"
    return (
        f"the server redirects ({status_code}) to {place[:_LONGEST_PLACE]!r}, which would {loss}; "
        "if that is the right place, name it in the config: backend.options.base_url, or url with "
        "backend=http"
    )
