"""The error class of each HTTP status."""

from lm_eval_so.runner.errors import (
    AuthenticationError,
    BackendError,
    BadRequestError,
    ConflictError,
    InternalServerError,
    MethodNotAllowedError,
    NotFoundError,
    PermissionDeniedError,
    ProxyAuthenticationError,
    QuotaExceededError,
    RateLimitError,
    RedirectError,
    RequestTimeoutError,
    TransientError,
    UnprocessableEntityError,
)

_BY_STATUS: dict[int, type[BackendError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    402: QuotaExceededError,
    403: PermissionDeniedError,
    404: NotFoundError,
    405: MethodNotAllowedError,
    407: ProxyAuthenticationError,
    408: RequestTimeoutError,
    409: ConflictError,
    422: UnprocessableEntityError,
    424: TransientError,
    425: TransientError,
    429: RateLimitError,
    498: TransientError,
    499: TransientError,
}
_REDIRECTS, _SERVER_ERRORS = range(300, 400), 500


def error_class(status_code: int) -> type[BackendError]:
    """The class that stands for an HTTP status."""
    if status_code >= _SERVER_ERRORS:
        return InternalServerError
    if status_code in _REDIRECTS:
        return RedirectError
    return _BY_STATUS.get(status_code, BackendError)
