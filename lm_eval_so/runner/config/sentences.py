"""What is wrong with a config, in sentences that name the key, the value and the way out."""

from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from lm_eval_so.runner.config.schema import ComposedConfig
from lm_eval_so.runner.errors import ConfigError

_BOUNDS = {
    "greater_than": ("gt", "greater than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}
_WANTED = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "string_type": "a string",
    "path_type": "a path",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "dict_type": "a mapping (key: value)",
    "list_type": "a list",
    "string_too_short": "a non-empty string",
}


def known_keys(model: type[BaseModel] = ComposedConfig, prefix: str = "") -> Iterator[str]:
    """Every key of the config, dotted."""
    for name, field in model.model_fields.items():
        yield prefix + name
        for part in (field.annotation, *get_args(field.annotation)):
            if isinstance(part, type) and issubclass(part, BaseModel):
                yield from known_keys(part, f"{prefix}{name}.")


def nearest(word: str, known: Iterable[str]) -> str:
    """``; did you mean 'x'?``, or nothing where no known word is near."""
    matches = get_close_matches(word, list(known), n=1)
    return f"; did you mean {matches[0]!r}?" if matches else ""


def unknown_key(key: str, known: Iterable[str] | None = None) -> str:
    """The sentence for a key that does not exist."""
    keys = list(known_keys() if known is None else known)
    hint = nearest(key, keys)
    if not hint:
        last = {known.rpartition(".")[2]: known for known in keys}
        found = get_close_matches(key.rpartition(".")[2], last, n=1)
        hint = f"; did you mean {last[found[0]]!r}?" if found else ""
    return f"unknown key {key!r}{hint}"


def explain(error: ValidationError, prefix: str = "", known: Iterable[str] | None = None) -> str:
    """One sentence an error; keys start with ``prefix``."""
    keys = None if known is None else list(known)
    details = error.errors(include_url=False, include_context=True)
    return "; ".join(dict.fromkeys(_sentence(detail, prefix, keys) for detail in details))


def invalid(
    error: ValidationError, prefix: str = "", model: type[BaseModel] | None = None
) -> ConfigError:
    """The ConfigError for values a model refused."""
    known = None if model is None else known_keys(model, prefix)
    return ConfigError(explain(error, prefix, known))


def _sentence(detail: ErrorDetails, prefix: str, known: list[str] | None) -> str:  # noqa: PLR0911 - a table
    kind, value = detail["type"], detail["input"]
    location = (part for part in detail["loc"] if not str(part).startswith("function-"))
    key = prefix + ".".join(str(part) for part in location)
    if kind == "extra_forbidden":
        return unknown_key(key, known)
    if kind == "missing":
        return f"{key} is missing"
    context = detail.get("ctx", {})
    if kind in _BOUNDS:
        name, words = _BOUNDS[kind]
        return f"{key} must be {words} {context[name]}, got {value!r}"
    if kind == "literal_error":
        return f"{key} must be {context['expected']}, got {value!r}"
    if kind == "value_error":
        return f"{key}: {context['error']}"
    if kind in _WANTED:
        return f"{key} must be {_WANTED[kind]}, got {value!r}"
    return f"{key}: {detail['msg']}, got {value!r}"
