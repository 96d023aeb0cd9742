"""Files that samples name are read when they are sent, and not before."""

import asyncio
import base64
import hashlib
import mimetypes
from collections.abc import Awaitable, Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

from lm_eval_so.runner.errors import BackendError
from lm_eval_so.runner.models import ChatResponse, Message, RunRequest
from lm_eval_so.runner.models.media import FileReference, file_references, local_path

_UNKNOWN = "application/octet-stream"
_Send = Callable[[RunRequest], Awaitable[ChatResponse]]


def with_files(send: _Send, folder: Path | None) -> _Send:
    """A ``send`` that puts the bytes of files into the messages; text is sent as it is.

    Results keep the paths: they hold the request as it was before.

    Args:
        send: Sends the request.
        folder: Where the paths begin; None leaves them as they are.
    """
    if folder is None:
        return send

    async def read_and_send(request: RunRequest) -> ChatResponse:
        return await send(await filled_request(request, folder))

    return read_and_send


async def filled_request(request: RunRequest, folder: Path) -> RunRequest:
    """The request with the bytes of its files; the same one where it names none.

    Raises:
        BackendError: As `filled`.
    """
    if not any(file_references(request.messages)):
        return request
    messages = await asyncio.to_thread(filled, request.messages, folder)
    return replace(request, messages=messages)


def filled(messages: list[Message], folder: Path) -> list[Message]:
    """The messages with the bytes of their files, as data URIs or, for sound, in base64.

    Raises:
        BackendError: A file is gone, or is not the one that was checked.
    """
    copied = deepcopy(messages)
    for reference in file_references(copied):
        if reference.sha256:  # else nobody has checked that it may be read
            _fill(reference, folder)
    return copied


def _fill(reference: FileReference, folder: Path) -> None:
    named, path = reference.path, local_path(folder, reference.path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BackendError(
            f"file {named!r} cannot be read: {error.strerror}", retryable=False, sample_fault=True
        ) from error
    if hashlib.sha256(content).hexdigest() != reference.sha256:
        raise BackendError(
            f"file {named!r} has changed since the dataset was checked; run the same command again",
            retryable=False,
            sample_fault=True,
        )
    encoded = base64.b64encode(content).decode()
    if reference.kind == "input_audio":
        reference.holder.setdefault("format", path.suffix.removeprefix(".").lower())
        reference.holder[reference.key] = encoded
        return
    if reference.kind == "file":
        reference.holder.setdefault("filename", path.name)
    kind = mimetypes.guess_type(path.name)[0] or _UNKNOWN
    reference.holder[reference.key] = f"data:{kind};base64,{encoded}"
