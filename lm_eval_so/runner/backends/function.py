"""A plain ``async def send(request)`` as a backend."""

from inspect import isawaitable

from lm_eval_so.runner.backends.base import ChatBackend, Send
from lm_eval_so.runner.errors import ConfigError
from lm_eval_so.runner.models import ChatResponse, RunConfig, RunRequest


class FunctionBackend(ChatBackend):
    """Answers with a function.

    Its code is not part of the request key: after a change of what it answers, give the config
    another ``model``, or the run another ``variant``.
    """

    def __init__(self, config: RunConfig, send: Send) -> None:
        super().__init__(config)
        self._function = send

    async def send(self, request: RunRequest) -> ChatResponse:
        answering = self._function(request)
        answer = await answering if isawaitable(answering) else None
        if not isinstance(answer, ChatResponse):
            found = answering if answer is None else answer
            raise ConfigError(
                "backend: send(request) must be an `async def` that returns a ChatResponse, "
                f"got {type(found).__name__}"
            )
        return answer


def backend_of(given: ChatBackend | Send | None, config: RunConfig) -> ChatBackend | None:
    """What the keyword ``backend`` stands for.

    Raises:
        ConfigError: It is neither a backend nor a function.
    """
    if given is None or isinstance(given, ChatBackend):
        return given
    if isinstance(given, type):
        raise ConfigError(f"backend: {given.__name__} is a class; give {given.__name__}(config)")
    if not callable(given):
        raise ConfigError(
            f"backend must be a ChatBackend or an `async def send(request)`, got {given!r}"
        )
    return FunctionBackend(config, given)
