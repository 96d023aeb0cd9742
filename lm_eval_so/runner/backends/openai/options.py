"""Options of the ``openai`` backend."""

import os
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from lm_eval_so.runner.config.schema import Config
from lm_eval_so.runner.config.secrets import without_userinfo
from lm_eval_so.runner.errors import BackendSetupError

_OWN_DOMAINS = (".local", ".localdomain", ".internal", ".lan", ".home.arpa")
DEFAULT_BASE_URL = "https://api.openai.com/v1"


class OpenAIOptions(Config):
    """How the server is reached.

    Attributes:
        api_key: The key itself; ``api_key_env`` is the safer way.
        api_key_env: Name of the environment variable that holds the key.
        base_url: Address up to ``/v1``; ``api_base`` is taken for it too.
        default_headers: Sent with every request.
        request_defaults: Parameters that are sent where the config names none.
    """

    api_key: SecretStr | None = None
    api_key_env: str = "OPENAI_API_KEY"
    base_url: str | None = None
    organization: str | None = None
    project: str | None = None
    default_headers: dict[str, SecretStr | str] = Field(default={})
    request_defaults: dict[str, Any] = Field(default={})

    @model_validator(mode="before")
    @classmethod
    def _api_base(cls, data: Any) -> Any:  # noqa: ANN401 - whatever was given
        if not isinstance(data, dict) or "api_base" not in data:
            return data
        data = dict(data)
        alias = data.pop("api_base")
        if alias is not None and data.get("base_url") not in (None, alias):
            raise ValueError("api_base is another name for base_url; give one of them")
        return {**data, "base_url": alias or data.get("base_url")}

    @field_validator("base_url")
    @classmethod
    def _is_address(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            raise ValueError(f"must start with http:// or https://, got {value!r}")
        return value

    @property
    def address(self) -> str:
        """The base URL in force, from the option, the environment or the SDK's default."""
        return self.base_url or os.environ.get("OPENAI_BASE_URL") or DEFAULT_BASE_URL

    @property
    def endpoint(self) -> str:
        """The address as it may be written."""
        return without_userinfo(self.address).rstrip("/")

    @property
    def hosted(self) -> bool:
        """Whether the address is one of the public internet, by its look."""
        host = urlsplit(self.address).hostname or ""
        try:
            return ip_address(host).is_global
        except ValueError:
            return "." in host and not host.endswith(_OWN_DOMAINS)

    @property
    def headers(self) -> dict[str, str]:
        """The default headers, opened."""
        return {
            name: value.get_secret_value() if isinstance(value, SecretStr) else value
            for name, value in self.default_headers.items()
        }

    def key(self) -> str:
        """The key.

        Raises:
            BackendSetupError: There is none, or it cannot stand in a header.
        """
        given = self.api_key.get_secret_value() if self.api_key else None
        key = (given or os.environ.get(self.api_key_env) or "").strip()
        if not key:
            raise BackendSetupError(
                f"no API key: set the variable {self.api_key_env} (to any text, for a server that "
                "asks for none), or name another one with backend.options.api_key_env=NAME"
            )
        if not (key.isascii() and key.isprintable()):
            source = "backend.options.api_key" if given else f"the variable {self.api_key_env}"
            raise BackendSetupError(f"the API key in {source} holds characters no key can have")
        return key
