"""Options of the ``anthropic`` backend."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, SecretStr, field_validator

from lm_eval_so.runner.backends.http.address import endpoint_fault, shown
from lm_eval_so.runner.backends.wires.account import QueryValue
from lm_eval_so.runner.config.schema import Config
from lm_eval_so.runner.masking.options import opened
from lm_eval_so.runner.masking.values import is_no_variable

PATH = "/v1/messages"
"""Behind the base URL."""
MODELS_PATH = "/v1/models"
PATHS = (PATH, "/v1")
"""What must not be in the base URL: it is added."""


class AnthropicOptions(Config):
    """How the server is reached.

    Attributes:
        api_key: The key itself; ``api_key_env`` is the safer way.
        api_key_env: Name of the environment variable that holds the key.
        base_url: Address up to before ``/v1``, as the SDK has it.
        default_headers: Sent with every request, such as ``anthropic-beta``.
        default_query: Sent with every request behind the address: ``?name=value``.
        request_defaults: Parameters that are sent where the config names none. The API needs
            ``max_tokens``.
    """

    api_key: SecretStr | None = None
    api_key_env: str = "ANTHROPIC_API_KEY"
    base_url: str | None = None
    default_headers: dict[str, SecretStr | str] = Field(default={})
    default_query: dict[str, QueryValue | None] = Field(default={})
    request_defaults: Annotated[dict[str, Any], BeforeValidator(opened)] = Field(
        default={"max_tokens": 8192}
    )

    @field_validator("api_key_env")
    @classmethod
    def _is_name(cls, value: str) -> str:
        if is_no_variable(value):
            raise ValueError("must be the name of an environment variable, and not the key itself")
        return value

    @field_validator("base_url")
    @classmethod
    def _is_address(cls, value: str | None) -> str | None:
        if value is None:
            return None
        value = value.strip()
        for path in PATHS:
            if fault := endpoint_fault(value, path):
                raise ValueError(f"{fault}{shown(value)}")
        return value
