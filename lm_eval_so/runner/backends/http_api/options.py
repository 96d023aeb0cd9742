"""The options of ``backend=http``."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, SecretStr, field_validator, model_validator

from lm_eval_so.runner.config.schema import Config
from lm_eval_so.runner.errors import ConfigError
from lm_eval_so.runner.masking.options import opened
from lm_eval_so.runner.masking.values import is_no_variable

_Expression = Annotated[str, Field(min_length=1)]
_Method = Annotated[str, Field(pattern=r"^[A-Z]+$")]
_Status = Annotated[int, Field(ge=200, le=599)]
_Tree = Annotated[Any, BeforeValidator(opened)]


class Variable(Config):
    """A value that stands in an environment variable.

    Attributes:
        env: Its name.
        prefix: Stands before the value: ``"Bearer "``.
        optional: Whether nothing is sent where the variable is not set.
    """

    env: str
    prefix: str = ""
    optional: bool = False

    @field_validator("env")
    @classmethod
    def _is_name(cls, value: str) -> str:
        if is_no_variable(value):
            raise ValueError("must be the name of an environment variable, and not its value")
        return value


class TokenPaths(Config):
    """Where an answer tells its tokens."""

    input: _Expression | None = None
    output: _Expression | None = None
    total: _Expression | None = None
    cached: _Expression | None = None
    cache_written: _Expression | None = None
    reasoning: _Expression | None = None


class StreamOptions(Config):
    """How an answer is read that comes in pieces.

    Attributes:
        format: ``sse``: events with JSON or text; ``ndjson``: JSON on each line; ``text``: the
            answer itself.
        delta: What an event adds to the answer, over ``{event, data}``.
        done: True for the last event; without it, the end of the body is the end.
        error: What an event tells of an error.
    """

    format: Literal["sse", "ndjson", "text"]
    delta: _Expression = "data"
    done: _Expression | None = None
    error: _Expression | None = "data.error"

    @model_validator(mode="after")
    def _has_delta(self) -> Self:
        if self.format == "ndjson" and "delta" not in self.model_fields_set:
            raise ValueError("format=ndjson needs delta: where a line holds its text")
        return self


class SessionOptions(Config):
    """A conversation that the bot keeps.

    Attributes:
        source: Where an answer tells its id; None makes one for each sample and repeat.
    """

    source: _Expression | None = Field(default=None, alias="from")


class AuthOptions(Config):
    """A command that prints a token.

    Attributes:
        token_command: The program and its arguments; no shell.
        lifetime: Seconds after which it is run again.
        token_path: Where the token is, if the command prints JSON: ``access_token``.
        header: That the token is sent in.
        prefix: Stands before the token.
        timeout: Seconds for the command.
    """

    token_command: Annotated[list[str], Field(min_length=1)]
    lifetime: Annotated[float, Field(gt=0)] = 1800.0
    token_path: _Expression | None = None
    header: str = "Authorization"
    prefix: str = "Bearer "
    timeout: Annotated[float, Field(gt=0)] = 60.0


class HttpOptions(Config):
    """The comments in ``conf/backend/http.yaml`` say what each is."""

    url: Variable | str
    method: _Method = "POST"
    headers: dict[str, Variable | SecretStr | str] = Field(default={})
    query: dict[str, Variable | SecretStr | str | int | float | bool | list[str] | None] = Field(
        default={}
    )
    body: _Tree = None
    body_format: Literal["json", "form", "multipart"] = "json"
    ok_status: list[_Status] = Field(default=[])
    answer: _Expression | None = None
    finish_reason: _Expression | None = None
    tokens: TokenPaths = TokenPaths()
    model: _Expression | None = None
    request_id: _Expression | None = None
    reasoning: _Expression | None = None
    tool_calls: _Expression | None = None
    error: _Expression | None = "body.error"
    retry_when: _Expression | None = None
    stream: StreamOptions | None = None
    session: SessionOptions | None = None
    auth: AuthOptions | None = None

    @field_validator("method", mode="before")
    @classmethod
    def _any_case(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @field_validator("session", mode="before")
    @classmethod
    def _new(cls, value: object) -> object:
        return {} if value == "new" else value


def check_options(options: HttpOptions) -> None:
    """Looks at what belongs together.

    Raises:
        ConfigError: Something is missing, or does not fit.
    """
    if options.stream is None and options.answer is None:
        raise ConfigError(
            "backend.options.answer is missing: where the text of an answer is, such as body.reply "
            "(text: the whole body); check=1 shows what comes back"
        )
    if options.body_format != "json" and not isinstance(options.body, dict):
        raise ConfigError(
            f"backend.options.body_format={options.body_format} needs backend.options.body: names "
            "and their values"
        )
    if options.body is not None and options.method == "GET":
        raise ConfigError(
            "backend.options.method=GET sends no body: use backend.options.query instead of body"
        )
