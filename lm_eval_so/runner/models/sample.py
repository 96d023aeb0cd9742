"""One line of a dataset."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Required

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field
from typing_extensions import TypedDict

from lm_eval_so.runner.models.value import Value

SAMPLE_PARAMETERS = ("tools", "tool_choice", "response_format", "parallel_tool_calls")
"""Keys of a sample that are sent as parameters of its request."""

Role = Literal["system", "developer", "user", "assistant", "tool", "function"]


class Message(TypedDict, total=False):
    """One turn, as Chat Completions takes it; keys not named here are kept and sent."""

    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]

    role: Required[Role]
    content: str | list[dict[str, Any]] | None
    name: str | None
    tool_calls: list[dict[str, Any]] | None
    tool_call_id: str | None


def _check_messages(messages: list[Message]) -> list[Message]:
    for position, message in enumerate(messages):
        if "content" not in message and message["role"] != "assistant":
            raise ValueError(f"messages[{position}] has no content")
        # Exporters such as pandas and Arrow write every key of a column, null where a row has none.
        if message.get("name", ...) is None:
            del message["name"]
        if message.get("tool_calls", ...) is None:
            del message["tool_calls"]
        if message.get("tool_call_id", ...) is None:
            del message["tool_call_id"]
    return messages


def _as_id(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _list_if_null(value: object) -> object:
    return [] if value is None else value


def _mapping_if_null(value: object) -> object:
    return {} if value is None else value


class TestSample(Value):
    """One line of ``test.jsonl``; keys not named here are kept in ``model_extra``.

    Attributes:
        id: An integer becomes its text, so that 7 and "7" are one sample.
        tools, tool_choice, response_format, parallel_tool_calls: What Chat Completions takes under
            these names; sent with this sample, in the place of the config's parameter.
    """

    model_config = ConfigDict(extra="allow")
    __test__: ClassVar[bool] = False  # not a test class, whatever pytest reads in the name

    id: Annotated[str, Field(min_length=1), BeforeValidator(_as_id)]
    messages: Annotated[list[Message], Field(min_length=1), AfterValidator(_check_messages)]
    expected: Any = None
    tags: Annotated[list[str], Field(default_factory=list), BeforeValidator(_list_if_null)]
    metadata: Annotated[
        dict[str, Any], Field(default_factory=dict), BeforeValidator(_mapping_if_null)
    ]
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    response_format: dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None

    @property
    def parameters(self) -> dict[str, Any]:
        """What is sent with this sample beside its messages; empty for most.

        An empty list of tools counts as none: servers refuse it.
        """
        if not (
            self.tools
            or self.tool_choice
            or self.response_format
            or self.parallel_tool_calls is not None
        ):
            return {}
        given = {name: getattr(self, name) for name in SAMPLE_PARAMETERS}
        return {name: value for name, value in given.items() if value not in (None, [], {}, "")}
