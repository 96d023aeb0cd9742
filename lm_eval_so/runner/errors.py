"""Everything that can go wrong, in one place.

::

    LmEvalError                     the base; its text is one sentence for a person
    ├── ConfigError                 a key, a value or a flag
    ├── RunningLoopError            a blocking call in a coroutine or a notebook
    ├── DatasetError                a file or a line of the dataset
    ├── StoreError                  the run directory
    │   ├── RunDirectoryBusyError   another process holds it
    │   ├── ForeignRunError         it belongs to another fingerprint
    │   ├── NewerVersionError       a newer release wrote it
    │   └── LostLinesError          the disk has not kept what was written
    ├── BackendSetupError           a missing key, wheel or model: nothing could be sent
    ├── BackendUnusableError        a wrong key or model, a spent quota, a server that is away
    ├── BudgetSpentError            the run has taken what it may
    ├── EngineError                 a cluster or its workers
    ├── TrackingError               MLflow refuses, or is asked for what it cannot do
    │   ├── TrackingUnreachableError    it is not there
    │   └── ArtifactNotFoundError   a file that was to be logged
    └── BackendError                one attempt failed; the only kind that becomes a RunError
        ├── APIConnectionError      x   broke before the answer was whole
        │   ├── EndpointUnreachableError    no connection at all: nothing was sent
        │   ├── TLSError            -       no encrypted connection: certificate, or no TLS there
        │   └── ProxyError          -       the proxy on the way gives no connection
        ├── APITimeoutError         x
        ├── RedirectError               3xx
        ├── BadRequestError             400
        ├── AuthenticationError         401
        ├── PermissionDeniedError       403
        ├── NotFoundError               404
        ├── MethodNotAllowedError       405
        ├── ProxyAuthenticationError    407
        ├── RequestTimeoutError     x   408
        ├── ConflictError           x   409
        ├── UnprocessableEntityError    422
        ├── TransientError          x   424, 425, 498, 499
        ├── RateLimitError          x   429
        ├── QuotaExceededError          402; 400, 403 or 429 that says the quota is spent
        ├── InternalServerError     x   5xx; not 501, 505 and 511, which stay as they are
        ├── InvalidResponseError    x   200 whose body is no completion
        ├── AnswerTooLongError          a body without end, or one that unpacks to too much
        ├── CommandFailedError          a command (backend=command) ended with another code than 0
        ├── BackendFaultError           the backend's own code broke
        └── UnwritableResultError       an answer that has no JSON form

``x`` marks what is tried again, and ``-`` what is so once the server has answered something. The
names are those of the OpenAI SDK where it has one.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Self


class LmEvalError(Exception):
    """Base of all errors of this package."""


class ConfigError(LmEvalError):
    """The configuration cannot be carried out."""


class RunningLoopError(LmEvalError, RuntimeError):
    """A blocking function was called where an event loop runs; its async twin is the one."""


class DatasetError(LmEvalError):
    """The dataset cannot be read, or holds lines that are no samples."""


class StoreError(LmEvalError):
    """The run directory cannot be used or written."""


class RunDirectoryBusyError(StoreError):
    """Another process is running in this directory."""


class ForeignRunError(StoreError):
    """The directory holds the results of another configuration."""


class NewerVersionError(StoreError):
    """The file has a ``schema_version`` above the newest one that this release knows."""

    def __init__(self, where: object, found: float, understood: int) -> None:
        super().__init__(
            f"{where} has schema_version {found}, and this release of lm-eval-so understands up to "
            f"{understood}; update lm-eval-so to resume"
        )


class LostLinesError(StoreError):
    """The results file does not hold what was written to it."""


class BackendSetupError(LmEvalError):
    """The backend lacks something it needs before it can send."""


class BackendUnusableError(LmEvalError):
    """No sample can be answered until something outside is mended; what is owed stays owed."""


class BudgetSpentError(LmEvalError):
    """The run has taken what it may; what is owed stays owed.

    Args:
        unit: ``usd``, ``tokens``, ``requests`` or ``seconds``.
        taken: By the run so far.
        bound: What is configured.
    """

    def __init__(self, unit: str, taken: float, bound: float) -> None:
        super().__init__(
            f"the budget is spent ({taken:,.12g} of {bound:,.12g} {unit}); the same command with a "
            f"larger runner.budget.{unit} resumes it"
        )

    @classmethod
    def told(cls, sentence: str) -> Self:
        """The same as another process has told it."""
        error = cls.__new__(cls)
        Exception.__init__(error, sentence)
        return error


class EngineError(LmEvalError):
    """A cluster or its workers cannot carry the run on; what is done is in the run directory."""


class TrackingError(LmEvalError):
    """MLflow does not take what it is told."""


class TrackingUnreachableError(TrackingError):
    """MLflow is not there, or not well; later it may be."""


class ArtifactNotFoundError(TrackingError, FileNotFoundError):
    """There is no such file or folder to be logged."""


class BackendError(LmEvalError):
    """One attempt failed. Backends raise it, or a subclass; all else counts as a bug of theirs.

    Args:
        message: What the server or the wire said.
        status_code: HTTP status, where there was one.
        retryable: Whether the same request may succeed later; the class decides if not given.
        retry_after: Seconds the server asked to wait.
        headers: Of the answer; those that tell limits teach the limiter.
        details: Anything else worth keeping, such as the body of the answer.
        sample_fault: Whether it is about this one sample (its length, its content, its images), so
            that it says nothing about the setting.

    Attributes:
        for_room: Whether the server had no room for the request, which is not the sample's fault.
        served_by: Name of the replica that was asked; None without a pool.
    """

    default_retryable: ClassVar[bool] = False

    def __init__(  # noqa: PLR0913 - each may be given alone
        self,
        message: str,
        *,
        status_code: int | None = None,
        retryable: bool | None = None,
        retry_after: float | None = None,
        headers: Mapping[str, str] | None = None,
        details: Mapping[str, Any] | None = None,
        sample_fault: bool = False,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status_code = status_code
        self.retryable = self.default_retryable if retryable is None else retryable
        self.retry_after = retry_after
        self.headers = headers
        self.details = details
        self.sample_fault = sample_fault
        self.for_room = False
        self.served_by: str | None = None

    @property
    def error_type(self) -> str:
        """The name this error goes by in a RunResult."""
        return type(self).__name__


class APIConnectionError(BackendError):
    """No connection, or it broke before the answer was whole."""

    default_retryable = True


class EndpointUnreachableError(APIConnectionError):
    """Nobody takes connections at the address, so that nothing was sent."""


class TLSError(APIConnectionError):
    """No encrypted connection: a certificate that is not accepted, or a side that speaks no TLS.

    The setting's until the server has answered once: nothing was sent, and no sample is the cause.
    """

    default_retryable = False


class ProxyError(APIConnectionError):
    """The proxy on the way takes no connections, or opens no way to the server.

    The setting's until the server has answered once: nothing was sent, and no sample is the cause.
    """

    default_retryable = False


class APITimeoutError(BackendError):
    """No answer within the attempt's timeout."""

    default_retryable = True


class RedirectError(BackendError):
    """3xx: to follow it would lose the question, or hand it to another host."""


class BadRequestError(BackendError):
    """400."""


class AuthenticationError(BackendError):
    """401."""


class PermissionDeniedError(BackendError):
    """403."""


class NotFoundError(BackendError):
    """404: the address or the model."""


class MethodNotAllowedError(BackendError):
    """405: the address takes no questions."""


class ProxyAuthenticationError(BackendError):
    """407: the proxy on the way asks for a name and a password; the server was not reached."""


class RequestTimeoutError(BackendError):
    """408."""

    default_retryable = True


class ConflictError(BackendError):
    """409."""

    default_retryable = True


class UnprocessableEntityError(BackendError):
    """422."""


class TransientError(BackendError):
    """What stands behind the server failed this time: 424, 425, 498 (Groq, no room), 499."""

    default_retryable = True


class RateLimitError(BackendError):
    """429: too many requests or tokens; later it may pass."""

    default_retryable = True


class QuotaExceededError(BackendError):
    """Nothing is left to pay with: 402, or words such as ``insufficient_quota``."""


class InternalServerError(BackendError):
    """5xx."""

    default_retryable = True


class InvalidResponseError(BackendError):
    """The server said 200, but the body is no completion."""

    default_retryable = True


class AnswerTooLongError(BackendError):
    """The body is longer than ``runner.max_response_mb``; what was read of it is thrown away."""


class CommandFailedError(BackendError):
    """A program that was to answer ended with an exit code other than 0, or by a signal."""


class BackendFaultError(BackendError):
    """The backend raised something that is no BackendError, or gave back no answer: a bug.

    It costs the sample that met it, and ends a run only where all of the first samples meet it.
    """


class UnwritableResultError(BackendError):
    """There is an answer, but no form in which it can be kept."""


REFUSALS = frozenset({429, 503, 529})
"""Statuses of a server that has no room now; 529 is Anthropic's and others' "overloaded"."""
