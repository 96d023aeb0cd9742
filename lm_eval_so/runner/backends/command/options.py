"""Options of the ``command`` backend."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from lm_eval_so.runner.backends.command.paths import Paths, compiled
from lm_eval_so.runner.backends.command.pattern import GROUPS, TEXT_GROUP
from lm_eval_so.runner.backends.plain_answer import FIELDS
from lm_eval_so.runner.config.base import Config, UserPath
from lm_eval_so.runner.models import TokenUsage

if TYPE_CHECKING:
    from collections.abc import Mapping

_ERROR, _TOKENS = "error", "tokens"
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
ExitCode = Annotated[int, Field(ge=1, le=255)]


def _check_paths(paths: Mapping[str, str | dict[str, str]], known: tuple[str, ...]) -> None:
    for name, path in paths.items():
        if name not in known:
            raise ValueError(f"{name!r} is no part of an answer (there are: {', '.join(known)})")
        if isinstance(path, dict) and name == _TOKENS:
            _check_paths(path, tuple(TokenUsage.model_fields))
        elif isinstance(path, str):
            compiled(path)
        else:
            raise ValueError(f"{name!r} is no path, but a mapping")


class CommandOptions(Config):
    """What is started, and how its output is read. ``conf/backend/command.yaml`` says more.

    Attributes:
        command: The program and its arguments; no shell reads them.
        input: What stands on stdin: one JSON object, or the text of the last user turn.
        output: What stands on stdout.
        paths: With JSON: fields of the answer, and ``error``, as JMESPath.
        pattern: With a regular expression: its named groups are fields of the answer.
        stderr_pattern: The same on stderr, for tokens and times; it may find nothing.
        env: Variables that the command gets beside PATH; None: with the value that they have here.
        cwd: Folder in which it is started.
        persistent: One process for each slot, which answers a line with a line.
        retry_exit_codes: Exit codes that are worth another attempt.
    """

    command: Annotated[list[str], Field(min_length=1)]
    input: Literal["sample", "last_user"] = "sample"
    output: Literal["text", "json", "regex"] = "text"
    paths: Paths = Field(default={})
    pattern: str | None = None
    stderr_pattern: str | None = None
    env: dict[str, str | SecretStr | None] = Field(default={"HOME": None, "LANG": None})
    cwd: UserPath | None = None
    persistent: Literal["jsonl"] | None = None
    retry_exit_codes: list[ExitCode] = Field(default=[75])

    @field_validator("command", mode="before")
    @classmethod
    def _is_list(cls, value: object) -> object:
        if isinstance(value, str):
            raise ValueError(  # noqa: TRY004 - pydantic takes a ValueError
                "must be a list, since no shell reads it: [PROGRAM, ARGUMENT, ...]"
            )
        for position, argument in enumerate(value if isinstance(value, list) else []):
            if isinstance(argument, bool | float):  # 1e3 would become 1000.0
                raise ValueError(  # noqa: TRY004 - as above
                    f"argument {position} must stand in quotes: it is read as {argument!r}"
                )
        return value

    @field_validator("env", mode="before")
    @classmethod
    def _as_mapping(cls, value: object) -> object:
        """A list of names is a mapping to None, as in a Compose file."""
        return dict.fromkeys(map(str, value)) if isinstance(value, list) else value

    @field_validator("env")
    @classmethod
    def _are_names(cls, value: dict[str, Any]) -> dict[str, Any]:
        for position, name in enumerate(value):
            if not _VARIABLE.fullmatch(name):  # it may be NAME=key, so it is not shown
                raise ValueError(
                    f"name {position + 1} is no name of a variable; give a value as NAME: value"
                )
        return value

    @field_validator("paths")
    @classmethod
    def _are_paths(cls, value: Paths) -> Paths:
        _check_paths(value, (*FIELDS, _ERROR))
        return value

    @field_validator("pattern", "stderr_pattern")
    @classmethod
    def _is_pattern(cls, value: str | None) -> str | None:
        try:
            groups = re.compile(value or "").groupindex
        except re.error as error:
            raise ValueError(f"is no regular expression: {error}") from error
        for name in groups.keys() - GROUPS:
            known = ", ".join(sorted(GROUPS))
            raise ValueError(f"has the group {name!r}, which is no part of an answer ({known})")
        return value

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if (self.output == "regex") != (self.pattern is not None):
            raise ValueError("output: regex and pattern must be given together")
        if self.pattern is not None and f"(?P<{TEXT_GROUP}>" not in self.pattern:
            raise ValueError(f"pattern needs the group (?P<{TEXT_GROUP}>...), which is the answer")
        if self.paths and self.output != "json" and self.persistent is None:
            raise ValueError("paths need output: json")
        if self.persistent and (
            self.output == "regex" or self.stderr_pattern or self.input != "sample"
        ):
            raise ValueError("persistent: jsonl takes input: sample, and no patterns")
        return self
