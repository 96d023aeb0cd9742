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
from lm_eval_so.runner.backends.wires.account import QueryValue
from lm_eval_so.runner.config.schema import Config
from lm_eval_so.runner.masking.options import opened
from lm_eval_so.runner.masking.values import is_no_variable, public_address

PATH = "/chat/completions"
"""Behind the base URL."""
_HEADER = re.compile(r"[A-Za-z0-9-]+")
_SLASHES = re.compile(r"(?<=[^:/])//+(?=openai/)")
"""Of ``https://NAME.openai.azure.com/``, as Azure's portal has it, with a path behind it."""
PATHS = {None: PATH, "responses": "/responses"}
"""By the wire; None is that of Chat Completions."""


def _true_or_none(value: bool | None) -> bool | None:  # noqa: FBT001 - a validator
    """None is no part of a run's identity; those of before the option had none."""
    return value or None


def _none_if_usual(value: str | None) -> str | None:
    """None is no part of a run's identity; those of before the option had none."""
    return None if value == "chat" else value


def _named(value: str | None) -> str | None:
    """An endpoint's name, which is written everywhere."""
    if value is None:
        return None
    value = value.strip()
    if not value or not value.isprintable() or public_address(value) != value:
        raise ValueError("must be a name that may be shown: on one line, without a password")
    return value


def _checked(address: str) -> str:
    address = _SLASHES.sub("/", address.strip())
    if address.startswith("["):  # as Hydra leaves it
        raise ValueError("is a list that cannot be read: put double quotes around each address")
    for path in PATHS.values():
        if fault := endpoint_fault(address, path):
            raise ValueError(f"{fault}{shown(address)}")
    return address


def as_list(value: str | list[str] | None) -> list[str]:
    """The items of a list; a list of the one value; an empty one of None."""
    if value is None:
        return []
    return [value] if isinstance(value, str) else value


_EndpointName = Annotated[str | None, AfterValidator(_named)]


class OpenAIOptions(Config):
    """How the server is reached, or several servers for one model: a pool.

    Attributes:
        api_key: The key itself; ``api_key_env`` is the safer way.
        api_key_env: Name of the environment variable that holds the key; several names for several
            accounts: one for each address, or all of them at one.
        api_key_header: Takes the key as it is, in the place of ``Authorization: Bearer``.
        base_url: Address up to ``/v1``; ``api_base`` is taken for it too. A query stays a query; a
            user name and a password are sent as Basic authorisation, in place of a key. Several
            addresses are servers that answer the same.
        endpoint_name: Stands in the identity of a run in the place of the address, which may then
            change from one command to the next.
        affinity: ``prefix`` sends what has the same system text to the same server of a pool.
        default_headers: Sent with every request.
        default_query: Sent with every request behind the address: ``?name=value``.
        request_defaults: Parameters that are sent where the config names none.
        think_tags: Whether the text begins with reasoning between ``<think>`` tags, which then
            becomes the answer's ``reasoning``.
        wire: ``responses`` for the Responses API; None, or ``chat``, for Chat Completions.
    """

    api_key: SecretStr | None = None
    api_key_env: str | Annotated[list[str], Field(min_length=1)] = "OPENAI_API_KEY"
    api_key_header: str | None = None
    base_url: str | Annotated[list[str], Field(min_length=1)] | None = None
    endpoint_name: _EndpointName = None
    affinity: Literal["prefix"] | None = None
    organization: str | None = None
    project: str | None = None
    default_headers: dict[str, SecretStr | str] = Field(default={})
    default_query: dict[str, QueryValue | None] = Field(default={})
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
    def _is_name(cls, value: str | list[str]) -> str | list[str]:
        if any(map(is_no_variable, as_list(value))):
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
    def _is_address(cls, value: str | list[str] | None) -> str | list[str] | None:
        if isinstance(value, list):
            return [_checked(address) for address in value]
        return None if value is None else _checked(value)

    @model_validator(mode="after")
    def _pairs(self) -> Self:
        replicas = self.replicas
        if self.api_key is not None and isinstance(self.api_key_env, list):
            raise ValueError(
                "api_key is one key, and api_key_env names several; give one of them, and null for "
                "the other"
            )
        if len(replicas) != len(set(replicas)):
            raise ValueError(
                "a server stands twice in base_url or api_key_env; name each once, since requests "
                "are spread by what each can take"
            )
        return self

    @property
    def replicas(self) -> list[tuple[str | None, str]]:
        """Address (None for the default) and variable of the key, of each server or account.

        Raises:
            ValueError: There are several of both, and not as many of one as of the other.
        """
        addresses: list[str | None] = [*as_list(self.base_url)] or [None]
        variables = as_list(self.api_key_env)
        if 1 not in (len(addresses), len(variables)) and len(addresses) != len(variables):
            raise ValueError(
                f"base_url has {len(addresses)} addresses, and api_key_env {len(variables)} names: "
                "give one name for all, or one for each"
            )
        most = max(len(addresses), len(variables))
        addresses = addresses * most if len(addresses) == 1 else addresses
        variables = variables * most if len(variables) == 1 else variables
        return list(zip(addresses, variables, strict=True))
