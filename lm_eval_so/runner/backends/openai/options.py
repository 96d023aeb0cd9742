"""Options of the ``openai`` backend."""

import re
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)

from lm_eval_so.runner.backends.http.address import endpoint_fault, shown
from lm_eval_so.runner.config.schema import Config
from lm_eval_so.runner.masking.options import opened
from lm_eval_so.runner.masking.values import is_no_variable

PATH = "/chat/completions"
"""Behind the base URL."""
_HEADER = re.compile(r"[A-Za-z0-9-]+")
_SLASHES = re.compile(r"(?<=[^:/])//+(?=openai/)")
"""Of ``https://NAME.openai.azure.com/``, as Azure's portal has it, with a path behind it."""
PATHS = {None: PATH, "responses": "/responses"}
"""By the wire; None is that of Chat Completions."""


def _as_sent(value: object) -> object:
    """``true`` and ``false``, as the SDK writes them into a query."""
    return str(value).lower() if isinstance(value, bool) else value


def _true_or_none(value: bool | None) -> bool | None:  # noqa: FBT001 - a validator
    """None is no part of a run's identity; those of before the option had none."""
    return value or None


def _none_if_usual(value: str | None) -> str | None:
    """None is no part of a run's identity; those of before the option had none."""
    return None if value == "chat" else value


_Text = Annotated[SecretStr | str, BeforeValidator(_as_sent)]


class OpenAIOptions(Config):
    """How the server is reached.

    Attributes:
        api_key: The key itself; ``api_key_env`` is the safer way.
        api_key_env: Name of the environment variable that holds the key.
        api_key_header: Takes the key as it is, in the place of ``Authorization: Bearer``.
        base_url: Address up to ``/v1``; ``api_base`` is taken for it too. A query stays a query; a
            user name and a password are sent as Basic authorisation, in place of a key.
        default_headers: Sent with every request.
        default_query: Sent with every request behind the address: ``?name=value``.
        request_defaults: Parameters that are sent where the config names none.
        think_tags: Whether the text begins with reasoning between ``<think>`` tags, which then
            becomes the answer's ``reasoning``.
        wire: ``responses`` for the Responses API; None, or ``chat``, for Chat Completions.
    """

    api_key: SecretStr | None = None
    api_key_env: str = "OPENAI_API_KEY"
    api_key_header: str | None = None
    base_url: str | None = None
    organization: str | None = None
    project: str | None = None
    default_headers: dict[str, SecretStr | str] = Field(default={})
    default_query: dict[str, _Text | None] = Field(default={})
    request_defaults: Annotated[dict[str, Any], BeforeValidator(opened)] = Field(default={})
    think_tags: Annotated[bool | None, AfterValidator(_true_or_none)] = None

    wire: Annotated[Literal["chat", "responses"] | None, AfterValidator(_none_if_usual)] = None

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

    @model_validator(mode="after")
    def _tags_are_of_chat(self) -> Self:
        if self.wire is not None and self.think_tags:
            raise ValueError(f"think_tags has no effect with wire={self.wire}: leave it out")
        return self

    @field_validator("api_key_env")
    @classmethod
    def _is_name(cls, value: str) -> str:
        if is_no_variable(value):
            raise ValueError("must be the name of an environment variable, and not the key itself")
        return value

    @field_validator("api_key_header")
    @classmethod
    def _is_header(cls, value: str | None) -> str | None:
        if value is not None and not _HEADER.fullmatch(value):
            raise ValueError(f"must be the name of a header, such as api-key, got {value!r}")
        return value

    @field_validator("base_url")
    @classmethod
    def _is_address(cls, value: str | None) -> str | None:
        if value is None:
            return None
        value = _SLASHES.sub("/", value.strip())
        for path in PATHS.values():
            if fault := endpoint_fault(value, path):
                raise ValueError(f"{fault}{shown(value)}")
        return value
