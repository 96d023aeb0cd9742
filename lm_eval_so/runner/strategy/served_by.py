"""Notes which replica of a pool has answered a request, or failed it."""

from lm_eval_so.runner.backends.base import Send, asked_replica
from lm_eval_so.runner.errors import BackendError
from lm_eval_so.runner.models import ChatResponse, RunRequest


class ServedBy:
    """Takes the name of the replica from the task that has asked it, a timeout included.

    Args:
        replicas: How many there are; of one nothing is noted, and it costs nothing.
    """

    def __init__(self, replicas: int) -> None:
        self._replicas = replicas

    def wrap(self, send: Send) -> Send:
        """``send``, whose answers and failures tell the replica."""
        if self._replicas == 1:
            return send

        async def noted(request: RunRequest) -> ChatResponse:
            asked_replica.set(None)
            try:
                response = await send(request)
            except BackendError as error:
                error.served_by = asked_replica.get()
                raise
            return response.model_copy(update={"served_by": asked_replica.get()})

        return noted
