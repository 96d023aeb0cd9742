"""Error messages for the config, with its own keys as suggestions."""

from collections.abc import Iterable, Iterator

from pydantic import BaseModel, ValidationError

from lm_eval_so.runner.config.schema import ComposedConfig
from lm_eval_so.runner.errors import ConfigError
from lm_eval_so.runner.text import wording
from lm_eval_so.runner.text.wording import nearest

__all__ = ["explain", "invalid", "known_keys", "nearest", "unknown_key"]


def known_keys(model: type[BaseModel] = ComposedConfig, prefix: str = "") -> Iterator[str]:
    """Every key of the config, dotted."""
    return wording.known_keys(model, prefix)


def unknown_key(key: str, known: Iterable[str] | None = None) -> str:
    """The sentence for a key that does not exist; ``known`` is the config's keys if None."""
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
