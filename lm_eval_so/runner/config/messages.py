"""Error messages for the config, with its own keys as suggestions."""

from collections.abc import Iterable, Iterator

from pydantic import BaseModel, ValidationError

from lm_eval_so.runner.config.schema import ComposedConfig
from lm_eval_so.runner.errors import ConfigError
from lm_eval_so.runner.text import wording
from lm_eval_so.runner.text.wording import nearest

__all__ = ["explain", "invalid", "known_keys", "nearest", "unknown_key"]


PARAMETERS = frozenset({
    "temperature", "top_p", "top_k", "min_p", "max_tokens", "max_completion_tokens",
    "max_output_tokens", "seed", "stop", "n", "frequency_penalty", "presence_penalty",
    "repetition_penalty", "logit_bias", "logprobs", "top_logprobs", "response_format",
    "reasoning_effort", "tools", "tool_choice", "parallel_tool_calls", "stream_options",
    "service_tier", "stop_sequences", "thinking", "verbosity", "extra_body",
})  # fmt: skip
"""Parameters that models take."""

OPTIONS = frozenset({
    "affinity", "answer", "answers_path", "api_key", "api_key_env", "api_key_header", "auth",
    "base_url", "body", "body_format", "by_tag", "callable", "command", "context_length",
    "cwd", "default_headers", "default_query", "endpoint_name", "env", "error",
    "finish_reason", "garbage", "hang", "headers", "input_tokens", "latency_ms",
    "latency_sigma", "method", "model_path", "n_parallel", "ok_status", "organization",
    "output_tokens", "paths", "pattern", "persistent", "project", "query", "rate_limited",
    "reasoning", "refusal", "request_defaults", "request_id", "retry_after",
    "retry_exit_codes", "retry_when", "server_error", "session", "stderr_pattern", "stream",
    "text", "think_tags", "tool_calls", "url", "wire",
})  # fmt: skip
"""Options of the backends of this package, but for those that have the name of another key."""


_NEAR = {"", "backend", "model", "options", "runner"}
"""Where people look for a parameter or an option."""


def _home(name: str) -> str | None:
    """Where the name of a parameter or of an option belongs."""
    if name in PARAMETERS:
        return "params."
    return "backend.options." if name in OPTIONS else None


def known_keys(model: type[BaseModel] = ComposedConfig, prefix: str = "") -> Iterator[str]:
    """Every key of the config, dotted."""
    return wording.known_keys(model, prefix)


def unknown_key(key: str, known: Iterable[str] | None = None) -> str:
    """The sentence for a key that does not exist; ``known`` is the config's keys if None."""
    group, _, name = key.rpartition(".")
    if known is None and group in _NEAR and (home := _home(name)):
        return f"unknown key {key!r}; did you mean {home + name!r}?"
    return wording.unknown_key(key, known_keys() if known is None else known)


def explain(
    error: ValidationError,
    prefix: str = "",
    known: Iterable[str] | None = None,
    whole: str = "the config",
) -> str:
    """`wording.explain`; ``known`` is the config's keys if None."""
    return wording.explain(error, prefix, known_keys() if known is None else known, whole)


def invalid(
    error: ValidationError, prefix: str = "", model: type[BaseModel] | None = None
) -> ConfigError:
    """The ConfigError for values a model refused."""
    known = None if model is None else known_keys(model, prefix)
    return ConfigError(explain(error, prefix, known))
