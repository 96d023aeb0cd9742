"""A backend without a network: the rehearsal for a run, and the fake for tests."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping
from random import Random
from typing import Annotated, Any, Literal

import orjson
from pydantic import Field

from lm_eval_so.runner.backends.base import ChatBackend
from lm_eval_so.runner.config.messages import unknown_key
from lm_eval_so.runner.config.schema import Config, UserPath
from lm_eval_so.runner.errors import (
    APITimeoutError,
    BackendError,
    BackendSetupError,
    ConfigError,
    InternalServerError,
    InvalidResponseError,
    RateLimitError,
)
from lm_eval_so.runner.models import ChatResponse, RunConfig, RunRequest, TokenUsage

Share = Annotated[float, Field(ge=0, le=1)]
_MISHAPS = ("rate_limited", "server_error", "timeout", "hang", "garbage", "refusal", "truncated")
"""In the order of the draw: a new one comes last, so that a seed still draws what it drew."""
_ANSWERED = (None, "refusal", "truncated")
_ADDED = ("truncated", "by_tag")
"""Options of a later version; what they do not change is the same run as before."""
_REFUSAL = "I'm sorry, but I can't help with that."
_CHARACTERS_PER_TOKEN = 4


class SimulatedOptions(Config):
    """The comments in ``conf/backend/simulated.yaml`` say what each is."""

    seed: int = 0
    latency_ms: Annotated[float, Field(ge=0)] = 50
    latency_sigma: Annotated[float, Field(ge=0)] = 0.3
    answer: Literal["echo", "fixed", "file"] = "echo"
    text: str = "OK"
    answers_path: UserPath | None = None
    input_tokens: Annotated[int, Field(ge=0)] | None = None
    output_tokens: Annotated[int, Field(ge=0)] | None = None
    rate_limited: Share = 0
    retry_after: Annotated[float, Field(ge=0)] = 1
    server_error: Share = 0
    timeout: Share = 0
    hang: Share = 0
    garbage: Share = 0
    refusal: Share = 0
    truncated: Share = 0
    by_tag: Annotated[dict[str, dict[str, Share]], Field(default_factory=dict)]


class SimulatedBackend(ChatBackend):
    """What happens to an attempt depends on the seed, the sample and the attempt's number alone."""

    options: SimulatedOptions
    options_model = SimulatedOptions
    operational_options = frozenset({"latency_ms", "latency_sigma", "retry_after"})

    def __init__(
        self, config: RunConfig, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        super().__init__(config)
        self._sleep = sleep
        shares = {name: getattr(self.options, name) for name in _MISHAPS}
        self._weights = _weights(shares, "backend.options")
        self._weights_by_tag = {
            tag: _weights({**shares, **own}, f"backend.options.by_tag.{tag}")
            for tag, own in self.options.by_tag.items()
        }
        self._answers = self._read_answers() if self.options.answer == "file" else {}

    @property
    def endpoint(self) -> str:
        return "simulated"

    @property
    def identity_options(self) -> dict[str, Any]:
        options = super().identity_options
        return {name: value for name, value in options.items() if value or name not in _ADDED}

    async def send(self, request: RunRequest) -> ChatResponse:
        options = self.options
        asked = f"{request.sample_id}:{request.repeat}" if request.repeat else request.sample_id
        chance = Random(f"{options.seed}:{asked}:{request.attempt}")  # noqa: S311 - a rehearsal
        (mishap,) = chance.choices([*_MISHAPS, None], self._weights_of(request.sample.tags))
        if mishap == "hang":
            await self._sleep(math.inf)
        seconds = options.latency_ms / 1000 * math.exp(chance.gauss(0, options.latency_sigma))
        await self._sleep(seconds)
        if mishap not in _ANSWERED:
            raise self._error(mishap)
        return self._response(request, mishap)

    def _weights_of(self, tags: list[str]) -> list[float]:
        if not self._weights_by_tag:
            return self._weights
        own = (self._weights_by_tag[tag] for tag in tags if tag in self._weights_by_tag)
        return next(own, self._weights)

    def _error(self, mishap: str) -> BackendError:
        errors: dict[str, BackendError] = {
            "rate_limited": RateLimitError(
                "simulated: too many requests",
                status_code=429,
                retry_after=self.options.retry_after,
            ),
            "server_error": InternalServerError("simulated: server error", status_code=500),
            "timeout": APITimeoutError("simulated: the server gave up"),
            "garbage": InvalidResponseError("simulated: no completion", status_code=200),
        }
        return errors[mishap]

    def _response(self, request: RunRequest, mishap: str | None) -> ChatResponse:
        refused, truncated = mishap == "refusal", mishap == "truncated"
        text = _REFUSAL if refused else self._text(request)
        if truncated:
            text = text[: len(text) // 2]
        asked = sum(len(str(message.get("content") or "")) for message in request.messages)
        input_tokens, output_tokens = self.options.input_tokens, self.options.output_tokens
        if input_tokens is None:
            input_tokens = math.ceil(asked / _CHARACTERS_PER_TOKEN)
        if output_tokens is None:
            output_tokens = math.ceil(len(text) / _CHARACTERS_PER_TOKEN)
        return ChatResponse(
            text=text,
            finish_reason="length" if truncated else "stop",
            status_code=200,
            tokens=TokenUsage(
                input=input_tokens, output=output_tokens, total=input_tokens + output_tokens
            ),
            model=request.run_config.model,
            request_id=f"simulated-{request.request_key[:12]}",
            refusal=text if refused else None,
        )

    def _text(self, request: RunRequest) -> str:
        if self.options.answer == "fixed":
            return self.options.text
        if self.options.answer == "file":
            if request.sample_id not in self._answers:
                raise BackendError(f"{self.options.answers_path} has no answer for this sample")
            return self._answers[request.sample_id]
        return str(request.messages[-1].get("content") or "")

    def _read_answers(self) -> dict[str, str]:
        path = self.options.answers_path
        if path is None:
            raise ConfigError("backend.options.answer=file needs backend.options.answers_path")
        try:
            rows = [orjson.loads(line) for line in path.read_bytes().splitlines() if line.strip()]
            return {str(row["id"]): str(row["text"]) for row in rows}
        except OSError as error:
            raise BackendSetupError(f"answers {path} cannot be read: {error.strerror}") from error
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            raise BackendSetupError(
                f'answers {path}: each line must be {{"id": ..., "text": ...}}'
            ) from error


def _weights(shares: Mapping[str, float], where: str) -> list[float]:
    """The weights of all mishaps, and of none, from shares whose key in the config is ``where``."""
    unknown = [name for name in shares if name not in _MISHAPS]
    if unknown:
        known = [f"{where}.{name}" for name in _MISHAPS]
        raise ConfigError(unknown_key(f"{where}.{unknown[0]}", known))
    drawn = [shares[name] for name in _MISHAPS]
    if sum(drawn) > 1:
        added = ", ".join(f"{name}={share:g}" for name, share in shares.items() if share)
        raise ConfigError(
            f"{where}: the shares {added} add up to {sum(drawn):g}, which is more than 1"
        )
    return [*drawn, 1 - sum(drawn)]
