"""Parts of a content of Chat Completions as blocks of the Messages API."""

from __future__ import annotations

import mimetypes
from typing import TYPE_CHECKING, Any

from lm_eval_so.runner.backends.wires.conversation import (
    NotCarriedError,
    image_url,
    uncarried_part,
)
from lm_eval_so.runner.models.media import MARK, SCHEME

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

WIRE = "the Messages API of Anthropic"
_ITS_OWN = {
    "document",
    "image",
    "redacted_thinking",
    "search_result",
    "thinking",
    "tool_result",
    "tool_use",
}
_IMAGES = ("image/jpeg", "image/png", "image/gif", "image/webp")
_PDF = "application/pdf"

Block = dict[str, Any]


def content_blocks(parts: Sequence[Block], where: str) -> list[Block]:
    """The parts as blocks.

    Args:
        parts: Of a message.
        where: Of their list, for the error: ``messages[2].content``.

    Raises:
        NotCarriedError: One has no place there, such as sound.
    """
    return [_block(part, f"{where}[{at}]") for at, part in enumerate(parts)]


def text_of(part: Mapping[str, Any], where: str) -> str:
    """The text of a part that is one.

    Raises:
        NotCarriedError: It is none.
    """
    if part.get("type") != "text" or not isinstance(part.get("text"), str):
        raise uncarried_part(part, f"{where} of a system message", WIRE)
    return str(part["text"])


def _block(part: Block, where: str) -> Block:
    match part:
        case {"type": "text", "text": str(text)}:
            if not text:
                raise NotCarriedError(f"{where} is an empty text, which {WIRE} refuses")
            return part
        case {"type": "refusal", "refusal": str(text)}:
            return {"type": "text", "text": text}
        case {"type": "image_url"}:
            return {"type": "image", "source": _image_source(image_url(part, where)[0], where)}
        case {"type": "file", "file": dict(file)}:
            return _document(file, where)
        case {"type": str(kind)} if kind in _ITS_OWN:
            return part
    raise uncarried_part(part, where, WIRE)


def _image_source(url: str, where: str) -> Block:
    kind, data = _content_of(url)
    if data is None and kind is None:
        return {"type": "url", "url": url}
    if kind not in _IMAGES:
        taken = ", ".join(_IMAGES)
        raise NotCarriedError(f"{where} is an image of type {kind}; {WIRE} takes {taken}")
    return {"type": "base64", "media_type": kind, "data": data}


def _document(file: Mapping[str, Any], where: str) -> Block:
    title = {"title": file["filename"]} if file.get("filename") else {}
    if file.get("file_id"):
        return {"type": "document", "source": {"type": "file", "file_id": file["file_id"]}, **title}
    kind, data = _content_of(str(file.get("file_data") or ""))
    if kind != _PDF:
        raise NotCarriedError(f"{where} is a file of type {kind}; {WIRE} takes {_PDF} there")
    source = {"type": "base64", "media_type": _PDF, "data": data}
    return {"type": "document", "source": source, **title}


def _content_of(url: str) -> tuple[str | None, str | None]:
    """Media type and base64 of a data URI; None of another address.

    Of a file that is named by its path, before its bytes take its place, the type by its name.
    """
    if url.startswith("data:"):
        kind, _, data = url.removeprefix("data:").partition(",")
        return kind.partition(";")[0].lower(), data
    if url.startswith(SCHEME):
        return mimetypes.guess_type(url.partition(MARK)[0])[0] or "unknown", ""
    return None, None
