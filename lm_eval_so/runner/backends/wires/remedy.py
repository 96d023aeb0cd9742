"""What a person can do about an error that ends a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lm_eval_so.runner.errors import (
    AuthenticationError,
    BackendError,
    EndpointUnreachableError,
    MethodNotAllowedError,
    ProxyAuthenticationError,
    QuotaExceededError,
)

if TYPE_CHECKING:
    from lm_eval_so.runner.backends.http.connection import Connection


@dataclass(frozen=True, kw_only=True)
class Setup:
    """How a backend was set up, for a sentence.

    Attributes:
        endpoint: The address as it may be written, or those of a pool.
        address_variable: Names the address, beside ``backend.options.base_url``.
        key: What authorises, as a person gave it.
        by_proxy: Whether a proxy is on the way.
    """

    endpoint: str
    address_variable: str
    key: str
    by_proxy: bool

    @classmethod
    def of(cls, connection: Connection, address_variable: str, key: str) -> Setup:
        """The setup of a backend, which reaches its server like this."""
        return cls(
            endpoint=connection.endpoint,
            address_variable=address_variable,
            key=key,
            by_proxy=connection.proxy is not None,
        )

    def remedy(self, error: BackendError) -> str:
        """What to do, in a few words; empty where nothing is known."""
        match error:
            case EndpointUnreachableError() if self.by_proxy:
                return ""  # it is the proxy, and the message says what to do
            case EndpointUnreachableError():
                return (
                    f"no server takes connections at {self.endpoint}; start it, or name another "
                    f"with backend.options.base_url or the variable {self.address_variable}"
                )
            case ProxyAuthenticationError():
                return (
                    "put a user name and a password into the variable HTTPS_PROXY or HTTP_PROXY, "
                    "or the server's name into NO_PROXY"
                )
            case AuthenticationError() | QuotaExceededError():
                return f"check {self.key}"
            case MethodNotAllowedError():
                return f"check backend.options.base_url ({self.endpoint})"
        return ""
