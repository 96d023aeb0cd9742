"""Which refusals are alike, and which of them a sample can be the cause of."""

import re
from typing import NamedTuple

from lm_eval_so.runner.errors import (
    AuthenticationError,
    BackendError,
    NotFoundError,
    PermissionDeniedError,
    ProxyError,
    QuotaExceededError,
    RedirectError,
    TLSError,
)

_OF_THE_SETTING = (
    AuthenticationError,
    NotFoundError,
    QuotaExceededError,
    RedirectError,
    ProxyError,
    TLSError,
)
_STATUS_OF_THE_SETTING = {401, 402, 404, 405, 407, 501, 505, 511}
"""Of the key, the account, the address, the method, the proxy, what is not implemented, the version
of HTTP and a login to the network."""
_QUOTED = re.compile(r"""(["'`]).*?\1""", re.DOTALL)
_DIGIT = re.compile(r"\d")  # in numbers, and in ids


class Kind(NamedTuple):
    """Refusals of one kind have one cause.

    Attributes:
        of_the_setting: No sample can be the cause.
        words: Of the server, without what differs from sample to sample.
    """

    of_the_setting: bool
    error_type: str
    status_code: int | None
    words: tuple[str, ...] = ()


def kind_of(error: BackendError) -> Kind:
    """The kind of a refusal.

    The status alone tells what a key, an account, an address or a filter refuses; what a server
    finds wrong with a request is told by its words.
    """
    setting = isinstance(error, _OF_THE_SETTING) or error.status_code in _STATUS_OF_THE_SETTING
    if setting or isinstance(error, PermissionDeniedError):
        return Kind(setting, error.error_type, error.status_code)
    details = error.details or {}
    named = (str(details.get("type")), str(details.get("code")))
    return Kind(
        setting, error.error_type, error.status_code, (*named, _common_words(error.message))
    )


def _common_words(message: str) -> str:
    words = _QUOTED.sub("", message).lower().split()
    return " ".join(word for word in words if not _DIGIT.search(word))
