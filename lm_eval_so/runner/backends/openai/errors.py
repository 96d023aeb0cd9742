"""The SDK's exceptions to ours, in one table."""

from __future__ import annotations

import json

from lm_eval_so.runner.backends.openai.refusal import from_event, from_proxy, from_status
from lm_eval_so.runner.errors import (
    APIConnectionError,
    APITimeoutError,
    BackendError,
    EndpointUnreachableError,
    InvalidResponseError,
)

_LEAKS = (json.JSONDecodeError, UnicodeDecodeError)  # of a body or a chunk that is garbage


def vendor_errors() -> tuple[type[Exception], ...]:
    """What the SDK and the wire below it raise, its leaks included."""
    import httpx2  # noqa: PLC0415 - loaded with the client
    import openai  # noqa: PLC0415 - loaded with the client

    return (openai.OpenAIError, httpx2.HTTPError, httpx2.StreamError, *_LEAKS)


def from_vendor(error: Exception) -> BackendError:
    """The error of ours that stands for one of `vendor_errors`."""
    import httpx2  # noqa: PLC0415 - loaded with the client
    import openai  # noqa: PLC0415 - loaded with the client

    match error:
        case openai.APIStatusError():
            return from_status(error.status_code, error.response.headers, error.response.content)
        case openai.APITimeoutError() | httpx2.TimeoutException():
            found: BackendError = APITimeoutError(_reason(error))
        case openai.APIConnectionError(__cause__=httpx2.ProxyError() as refused):
            found = _from_proxy(refused)
        case openai.APIConnectionError() | httpx2.TransportError():
            unreachable = isinstance(error.__cause__ or error, httpx2.ConnectError)
            kind = EndpointUnreachableError if unreachable else APIConnectionError
            found = kind(_reason(error))
        case openai.APIError(body=dict() as body):  # an error event within a stream
            found = from_event(body, str(error))
        case (
            openai.APIError()
            | httpx2.DecodingError()
            | json.JSONDecodeError()
            | UnicodeDecodeError()
        ):
            found = InvalidResponseError(f"the answer is no completion: {error}", status_code=200)
        case httpx2.StreamError():
            found = APIConnectionError(_reason(error))
        case _:
            found = BackendError(f"{type(error).__name__}: {error}")
    return found


def _from_proxy(error: Exception) -> BackendError:
    """httpx2 gives the proxy's answer as text: ``407 Proxy Authentication Required``."""
    status, _, reason = str(error).partition(" ")
    is_status = status.isdecimal() and len(status) == len("407")
    return from_proxy(int(status), reason) if is_status else APIConnectionError(_reason(error))


def _reason(error: Exception) -> str:
    """The SDK says no more than ``Connection error.``; what broke is in the cause."""
    cause = error.__cause__ or error
    return f"{type(cause).__name__}: {cause}" if str(cause) else type(cause).__name__
