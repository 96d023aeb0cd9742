"""Keeps requests and tokens within their limits, and the pauses that the server asks for."""

from lm_eval_so.runner.backends.base import Send
from lm_eval_so.runner.errors import BackendError
from lm_eval_so.runner.models import ChatResponse, RunRequest, Wait
from lm_eval_so.runner.strategy.rate_limit.limiter import RateLimiter
from lm_eval_so.runner.strategy.rate_limit.pauses import Pauses
from lm_eval_so.runner.strategy.rate_limit.tokens import TokenEstimate, believable


class RateLimit:
    """Waits for the limiter, which learns from what the server says.

    Args:
        limiter: Knows the limits, configured ones and those that answer headers gave.
        pauses: Keeps each Retry-After.
        estimate: Tokens that a request will take.
    """

    def __init__(self, limiter: RateLimiter, pauses: Pauses, estimate: TokenEstimate) -> None:
        self._limiter = limiter
        self._pauses = pauses
        self._estimate = estimate

    def wrap(self, send: Send) -> Send:
        """``send``, started when the limits allow it."""
        limiter, pauses, estimate = self._limiter, self._pauses, self._estimate

        async def limited(request: RunRequest) -> ChatResponse:
            size = estimate.size(request) if limiter.counts_tokens else 0
            grant = await limiter.acquire(estimate.of(size))
            if grant.waited:
                request.journal.wait(Wait.RATE_LIMIT, grant.waited)
            number = pauses.sent()
            try:
                response = await send(request)
            except BackendError as error:
                if error.headers is not None:
                    limiter.learn(grant, error.headers)
                pauses.failed(number, error)
                raise
            pauses.answered()
            if response.headers is not None:
                limiter.learn(grant, response.headers)
            if size and (usage := believable(response.tokens)):
                limiter.correct(grant, usage.total)
            return response

        return limited
