"""A function, an object or a class of the user's answers."""

from __future__ import annotations

import asyncio
import inspect
from copy import deepcopy
from typing import TYPE_CHECKING, Any, Self

from lm_eval_so.runner.backends.base import ChatBackend
from lm_eval_so.runner.backends.plain_answer import plain_answer
from lm_eval_so.runner.backends.python.client_errors import from_client
from lm_eval_so.runner.backends.python.options import PythonOptions
from lm_eval_so.runner.backends.python.source import find_callable
from lm_eval_so.runner.backends.python.threads import Threads, no_exception
from lm_eval_so.runner.errors import BackendError, BackendFaultError, BackendSetupError
from lm_eval_so.runner.models import ChatResponse, RunConfig, RunRequest
from lm_eval_so.runner.text.exception_text import exception_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from lm_eval_so.runner.backends.base import Examined, Outgoing
    from lm_eval_so.runner.models import Message, TestSample

_WANTS_REQUEST = "request"
_OWN = "callable"


class PythonBackend(ChatBackend):
    """What ``backend.options.callable`` names: a function, or a class.

    A function gets the messages, or the RunRequest if its argument is called ``request`` or is
    annotated so. One that is not ``async`` runs in a thread. A ChatBackend class is made of the
    config; any other class is made once, without arguments, when the run begins.
    """

    options: PythonOptions
    options_model = PythonOptions
    operational_options = frozenset({_OWN})  # the endpoint stands for it

    def __init__(self, config: RunConfig) -> None:
        super().__init__(config)
        self._source = find_callable(self.options.callable)
        self._inner = self._chat_backend()
        self._threads = Threads()
        if self._inner is None:
            self._gets_request = _gets_request(self._source.found, self._source.name)

    def _chat_backend(self) -> ChatBackend | None:
        """The user's own backend, where the source is one."""
        found = self._source.found
        if not (isinstance(found, type) and issubclass(found, ChatBackend)):
            return None
        own = {name: v for name, v in self.config.backend_options.items() if name != _OWN}
        return found(self.config.model_copy(update={"backend_options": own}))

    @property
    def identity_options(self) -> dict[str, Any]:
        return super().identity_options if self._inner is None else self._inner.identity_options

    @property
    def endpoint(self) -> str:
        inner = "" if self._inner is None else self._inner.endpoint
        parts = ("python", self._source.name, self._source.digest, inner)
        return ":".join(part for part in parts if part)

    @property
    def address(self) -> str:
        return super().address if self._inner is None else self._inner.address

    @property
    def replicas(self) -> int:
        return super().replicas if self._inner is None else self._inner.replicas

    @property
    def sends_more(self) -> bool:
        return self._inner is not None and self._inner.sends_more

    def sent_of(self, sample: TestSample) -> Mapping[str, Any]:
        return {} if self._inner is None else self._inner.sent_of(sample)

    @property
    def takes_everything(self) -> bool:
        return self._inner is None or self._inner.takes_everything

    def examine(self, messages: list[Message], parameters: Mapping[str, Any]) -> None:
        if self._inner is not None:
            self._inner.examine(messages, parameters)

    @property
    def takes_at_once(self) -> int | None:
        return None if self._inner is None else self._inner.takes_at_once

    @property
    def hosted(self) -> bool:
        return self._inner is not None and self._inner.hosted

    @property
    def limit_scope(self) -> str | None:
        return None if self._inner is None else self._inner.limit_scope

    @property
    def defaults(self) -> dict[str, Any]:
        return {} if self._inner is None else self._inner.defaults

    @property
    def secrets(self) -> list[str]:
        return [] if self._inner is None else self._inner.secrets

    async def remedy(self, error: BackendError) -> str:
        if isinstance(error, BackendFaultError):
            return f"mend {self._source.name}; run.log has the traceback"
        return "" if self._inner is None else await self._inner.remedy(error)

    async def preview(self, request: RunRequest) -> Outgoing:
        if self._inner is None:
            return await super().preview(request)
        self._hand_down(self._inner)
        return await self._inner.preview(request)

    async def __aenter__(self) -> Self:
        if self._inner is not None:
            self._hand_down(self._inner)
            await self._inner.__aenter__()
            return self
        answer = self._source.found
        if isinstance(answer, type):
            answer = _made(answer, self._source.name)
        self._answer: Callable[[Any], Any] = answer
        self._is_async = _is_async(answer)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._threads.close()
        if self._inner is not None:
            await self._inner.__aexit__(kind, error, traceback)

    def _hand_down(self, inner: ChatBackend) -> None:
        inner.longest_answer, inner.files_in = self.longest_answer, self.files_in

    async def try_once(self, request: RunRequest) -> Examined:
        if self._inner is None:
            return await super().try_once(request)
        return await self._inner.try_once(request)

    async def send(self, request: RunRequest) -> ChatResponse:
        if self._inner is not None:
            return await self._inner.send(request)
        # A copy: what a bot adds to the conversation is no part of the question.
        argument = request if self._gets_request else deepcopy(request.messages)
        try:
            answer = await self._ask(argument)
        except BackendError:
            raise
        except Exception as error:
            if (told := from_client(error)) is not None:
                raise told from error
            raise
        return self._response(answer)

    async def _ask(self, argument: object) -> object:
        try:
            if not self._is_async:
                answer = await self._threads.call(self._answer, argument)
                return await answer if inspect.isawaitable(answer) else answer
            return await self._answer(argument)
        except (SystemExit, GeneratorExit) as error:
            raise no_exception(error) from error
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():  # it is us who give the call up
                raise
            raise no_exception(error) from error

    def _response(self, answer: object) -> ChatResponse:
        match answer:
            case ChatResponse():
                return answer
            case str():
                return ChatResponse(text=answer)
            case dict():
                try:
                    return plain_answer(answer)
                except ValueError as error:
                    raise self._no_answer(str(error)) from error
        raise self._no_answer(f"{type(answer).__name__}, and no text, dict or ChatResponse")

    def _no_answer(self, found: str) -> BackendFaultError:
        return BackendFaultError(f"{self._source.name} returned {found}")


def _made(kind: type, name: str) -> Callable[[Any], Any]:
    try:
        made = kind()
    except Exception as error:
        raise BackendSetupError(
            f"backend.options.callable: {name}() cannot be made: {exception_text(error)}"
        ) from error
    answer: Callable[[Any], Any] = made
    return answer


def _is_async(answer: Callable[[Any], Any]) -> bool:
    call = answer if inspect.isroutine(answer) else getattr(answer, "__call__", answer)  # noqa: B004 - whether it is async
    return inspect.iscoroutinefunction(call)


def _gets_request(found: Any, name: str) -> bool:  # noqa: ANN401 - whatever the user named
    """Whether the callable takes the RunRequest, and not the messages.

    Raises:
        BackendSetupError: It cannot be called with one argument.
    """
    call = found
    if isinstance(found, type):
        call = getattr(found, "__call__")  # noqa: B004, B009 - the method, whose `self` is not bound
        if not inspect.isfunction(call):
            raise BackendSetupError(
                f"backend.options.callable: the class {name} is no ChatBackend and has no __call__"
            )
        call = call.__get__(object())
    try:
        parameters = inspect.signature(call).parameters.values()
    except (TypeError, ValueError):  # a function in C, which tells nothing
        return False
    places = [p for p in parameters if p.kind is not p.VAR_KEYWORD]
    needed = [p for p in places if p.default is p.empty and p.kind is not p.VAR_POSITIONAL]
    if not places or len(needed) > 1 or places[0].kind is inspect.Parameter.KEYWORD_ONLY:
        raise BackendSetupError(
            f"backend.options.callable: {name}{inspect.signature(call)} must take one argument: "
            "the messages, or, called 'request', the RunRequest"
        )
    annotation = places[0].annotation
    names_it = annotation is RunRequest or str(annotation).rpartition(".")[2] == "RunRequest"
    return places[0].name == _WANTS_REQUEST or names_it
