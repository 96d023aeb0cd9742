"""An answer that is no 2xx, or an error within one, to the error of ours that stands for it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from lm_eval_so.runner.backends.openai.body import is_page, page_words, read_json
from lm_eval_so.runner.backends.openai.choice import told_finish_reason
from lm_eval_so.runner.backends.openai.codes import status_by_code
from lm_eval_so.runner.backends.openai.redirect import REDIRECTS, redirected
from lm_eval_so.runner.backends.openai.told import header_text, request_id
from lm_eval_so.runner.backends.openai.waits import told_wait
from lm_eval_so.runner.backends.openai.words import classify
from lm_eval_so.runner.errors import BackendError, InvalidResponseError, ProxyAuthenticationError
from lm_eval_so.runner.text.sanitise import sanitise_json, sanitise_text

if TYPE_CHECKING:
    from collections.abc import Mapping

_LONGEST_READ = 20_000  # characters in which words and waits are looked for
_LONGEST_KEPT = 2000  # characters of a body that is no JSON
_OK = 200
_SHOULD_RETRY = {"true": True, "false": False}
"""What OpenAI and others say in ``x-should-retry``; their SDKs heed it before the status."""

_FAILED = frozenset(
    {
        "error",  # OpenRouter, Mistral, vLLM, Cohere
        "network_error",  # Zhipu
        "insufficient_system_resource",  # DeepSeek
        "abort",  # vLLM, SGLang
        *("cancelled", "canceled"),  # watsonx
        *("failed", "model_error", "server_error", "internal_error"),  # gateways
        "timeout",  # Cohere
    }
)
"""Finish reasons of a generation that failed; what there is of its text is no answer."""

_NAMES = ("code", "type", "status", "param")
_MESSAGES = ("message", "detail", "error", "msg", "status_msg")
"""Of OpenAI, FastAPI, Ollama, others, MiniMax."""
_FINE = {"0", "200", "ok", "success"}
"""Codes of an "error" that some gateways put beside every answer."""


class Said(NamedTuple):
    """What the body of an error says.

    Attributes:
        message: The sentence in it, or the title of a page; empty for an empty body.
        fields: The object that describes the error; empty if there is none.
        text: All of it, as far as it is read.
    """

    message: str
    fields: dict[str, Any]
    text: str


def from_status(status_code: int, headers: Mapping[str, str], body: bytes) -> BackendError:
    """The error of ours that stands for an answer that is no 2xx."""
    said = read_error(body)
    details = dict(said.fields) or ({"body": said.text[:_LONGEST_KEPT]} if said.text else {})
    if told := request_id(headers):
        details["request_id"] = told
    return _refused(status_code, said, headers, details)


def from_proxy(status_code: int, reason: str) -> BackendError:
    """The error of ours for a proxy that does not open a way to the server."""
    reason = header_text(reason)
    said = Said(f"the proxy answered {status_code} ({reason}) to CONNECT", {}, reason)
    return _refused(status_code, said, {}, {})


def from_event(fields: dict[str, Any], message: str) -> BackendError:
    """The error of ours for an error that came with a 200, in the body or within a stream."""
    fields, message = sanitise_json(fields), sanitise_text(message)
    status_code = status_by_code(fields)
    if status_code is None:
        return InvalidResponseError(message, status_code=_OK, details=fields)
    return _refused(status_code, Said(message, fields, str(fields)), {}, fields)


def error_within(part: Mapping[str, Any]) -> BackendError | None:
    """The error that a 200 tells in its body, in a chunk or in a choice.

    None where it tells none; an empty one (``{}``, or nothing but nulls), as some gateways put
    beside every answer, is none.
    """
    error = part.get("error")
    if "error" in (part.get("object"), part.get("type")):  # vLLM, SGLang; Anthropic
        error = error or part
    if not error or (isinstance(error, dict) and not any(error.values())):
        return None
    if part.get("choices") and isinstance(error, dict) and str(error.get("code")).lower() in _FINE:
        return None
    fields = error if isinstance(error, dict) else {"message": str(error)}
    return from_event(fields, str(fields.get("message") or fields))


def failed_finish(choice: Mapping[str, Any]) -> BackendError | None:
    """The error that a choice's finish reason stands for; None where it stands for none."""
    reason = told_finish_reason(choice)
    if not isinstance(reason, str) or reason.lower() not in _FAILED:
        return None
    message = f"the answer was given up by the server (finish_reason {reason!r})"
    return from_event({"choice": dict(choice)}, message)


def told_instead(body: object, stray: bytes, fault: InvalidResponseError) -> BackendError:
    """What to raise for a 200 without an answer: the server's words, where it has some.

    Args:
        body: What came in the place of an answer.
        stray: A line that stands between the events of a stream; it is looked at first.
        fault: What is wrong with it, as far as it is known.
    """
    said = read_error(stray) if stray else _said_in(body, "")
    if not said.message or isinstance(said.fields.get("message"), dict):  # of another API
        return fault
    if status_by_code(said.fields) is not None:
        return from_event(said.fields, said.message)
    return InvalidResponseError(
        f"{fault.message}, but: {sanitise_text(said.message)}",
        status_code=_OK,
        details=fault.details or sanitise_json(said.fields) or None,
    )


def _refused(
    status_code: int, said: Said, headers: Mapping[str, str], details: dict[str, Any]
) -> BackendError:
    reading = classify(status_code, _telling(said))
    message = said.message or f"HTTP {status_code}"
    if status_code in REDIRECTS:
        message = redirected(status_code, headers)
    if reading.kind is ProxyAuthenticationError:
        message = f"the proxy asks for a user name and a password: {message}"
    told = headers.get("x-should-retry", "").strip().lower()
    retryable = _SHOULD_RETRY.get(told, reading.retryable)
    asked = told_wait(headers, said.text, datetime.now(UTC)) if retryable else None
    return reading.kind(
        message,
        status_code=status_code,
        retryable=retryable,
        retry_after=asked,
        headers=headers,
        details=details or None,
        sample_fault=reading.sample_fault,
    )


def read_error(body: bytes) -> Said:
    """What a body says, in any of the shapes that servers give an error."""
    text = body[: 4 * _LONGEST_READ].decode(errors="replace")[:_LONGEST_READ]
    try:
        parsed = read_json(body)
    except BackendError:
        return Said(page_words(text) if is_page(text) else text[:_LONGEST_KEPT], {}, text)
    said = _said_in(parsed, text)
    return said if said.message else said._replace(message=text[:_LONGEST_KEPT])


def _said_in(parsed: object, text: str) -> Said:
    fields = _described(parsed)
    message = next((_sentence(fields[key]) for key in _MESSAGES if fields.get(key)), "")
    return Said(message, fields, text)


def _described(parsed: object) -> dict[str, Any]:
    """The object that describes the error: within ``error``, a list (Gemini), or the body."""
    if isinstance(parsed, list) and parsed:
        return _described(parsed[0])
    if not isinstance(parsed, dict):
        return {}
    inner = parsed.get("error") or parsed.get("errors") or parsed.get("base_resp")  # MiniMax
    if isinstance(inner, list) and inner:
        inner = inner[0]
    return inner if isinstance(inner, dict) else parsed


def _sentence(value: object) -> str:
    """A message as text; FastAPI's list of what is wrong without what was sent."""
    if isinstance(value, list):
        return "; ".join(_sentence(item) for item in value)
    if isinstance(value, dict) and "msg" in value:
        place = value.get("loc")
        where = ".".join(map(str, place)) if isinstance(place, list) else ""
        return f"{where}: {value['msg']}" if where else str(value["msg"])
    if isinstance(value, dict) and isinstance(value.get("message"), str):
        return str(value["message"])
    return str(value)


def _telling(said: Said) -> str:
    """Where words are looked for: what the server chose to say, not what it may quote."""
    fields = said.fields
    parts: list[object] = [
        said.message,
        *(f"{key}:{fields[key]}" for key in _NAMES if fields.get(key)),
    ]
    metadata, inner = fields.get("metadata"), fields.get("innererror")
    if isinstance(metadata, dict):  # OpenRouter
        parts += [metadata.get("raw"), *metadata]
    if isinstance(inner, dict):  # Azure
        parts.append(inner.get("code"))
    if isinstance(fields.get("details"), list):  # Gemini
        parts += [key for item in fields["details"] if isinstance(item, dict) for key in item]
    return " ".join(str(part) for part in parts if part)
