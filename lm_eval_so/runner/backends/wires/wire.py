"""What a wire has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lm_eval_so.runner.backends.wires.stream import StreamReader
    from lm_eval_so.runner.models import ChatResponse, Message, RunRequest


class Wire(Protocol):
    """How questions and answers are written for one API.

    Messages and parameters come as Chat Completions has them.
    """

    @property
    def problem(self) -> str:
        """How the message begins of each error that is about the shape of an answer."""

    @property
    def streams(self) -> bool:
        """Whether answers are asked for as streams."""

    def body(self, request: RunRequest) -> dict[str, Any]:
        """What is sent for a request.

        Raises:
            NotCarriedError: A message or a parameter has no place in it.
        """

    def examine(self, messages: Sequence[Message], parameters: Mapping[str, Any]) -> None:
        """Looks whether a sample can be sent, before anything is.

        Raises:
            NotCarriedError: A message or a parameter has no place on this wire.
        """

    def reader(self) -> StreamReader:
        """Reads one answer as it comes."""

    def response(
        self, answer: object, status_code: int, headers: Mapping[str, str]
    ) -> ChatResponse:
        """A whole answer as a value.

        Raises:
            BackendError: It is none, or tells of an error.
        """
