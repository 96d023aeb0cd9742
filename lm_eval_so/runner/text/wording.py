"""Error messages that name the key, the value and what to do."""

import re
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic._internal._model_construction import ModelMetaclass  # it has no public name
from pydantic_core import ErrorDetails

from lm_eval_so.runner.errors import ConfigError
from lm_eval_so.runner.masking.leaves import Place
from lm_eval_so.runner.masking.options import shown
from lm_eval_so.runner.masking.values import MASK
from lm_eval_so.runner.text.one_line import one_line

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
    "model_type": "a mapping (key: value)",
    "model_attributes_type": "a mapping (key: value)",
    "list_type": "a list",
    "string_too_short": "a non-empty string",
    "too_short": "a non-empty list",
}
_WANT = "\x00"
_LONGEST_VALUE = 200  # characters
_BRANCH = re.compile(
    r"function-.*|(str|int|float|bool|list|dict|literal|constrained-\w+)(\[.*\])?"
    r"|(lax-or-strict|json-or-python|union|nullable|is-instance)\[.*|SecretStr"
)
"""Parts of a location that are not keys: validators, and the branches of a union."""


class Told(ModelMetaclass):
    """Makes models whose constructor raises a ConfigError instead of pydantic's own error.

    Validation of plain data (``model_validate``, a model within a model) is not changed.
    """

    if not TYPE_CHECKING:  # a type checker reads the constructor that pydantic makes

        def __call__(cls, *args: Any, **fields: Any) -> Any:  # noqa: ANN401, N805 - as type's own
            try:
                return super().__call__(*args, **fields)
            except ValidationError as error:
                sentence = explain(error, "", known_keys(cls), f"{cls.__name__}(...)")
            except RecursionError:
                sentence = f"{cls.__name__}(...) holds itself, or is nested too deep"
            raise ConfigError(sentence)


def known_keys(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Every key of a model and of its inner models, dotted."""
    for name, field in model.model_fields.items():
        yield prefix + name
        for part in (field.annotation, *get_args(field.annotation)):
            if isinstance(part, type) and issubclass(part, BaseModel):
                yield from known_keys(part, f"{prefix}{name}.")


def nearest(word: str, known: Iterable[str]) -> str:
    """``; did you mean 'x'?``, or nothing if no known word is similar."""
    matches = get_close_matches(word, list(known), n=1)
    return f"; did you mean {matches[0]!r}?" if matches else ""


def unknown_key(key: str, known: Iterable[str]) -> str:
    """The sentence for a key that does not exist."""
    keys = list(known)
    if key in keys:
        group = key.partition(".")[0]
        return f"the chosen {group} has no {key!r}, but another one has; choose it with {group}=..."
    hint = nearest(key, keys)
    if not hint:
        last = {known.rpartition(".")[2]: known for known in keys}
        found = get_close_matches(key.rpartition(".")[2], last, n=1)
        hint = f"; did you mean {last[found[0]]!r}?" if found else ""
    return f"unknown key {key!r}{hint}"


def explain(error: ValidationError, prefix: str, known: Iterable[str], whole: str) -> str:
    """One sentence for each key that is wrong.

    Args:
        error: The error of a model.
        prefix: Put before every key.
        known: Keys to suggest.
        whole: The name of the whole value.
    """
    keys = list(known)
    wanted: dict[str, list[str]] = {}  # by sentence: a union accepts one of several
    for detail in error.errors(include_url=False, include_context=True):
        sentence, want = _sentence(detail, prefix, keys, whole)
        wanted.setdefault(sentence, []).append(want)
    return "; ".join(
        sentence.replace(_WANT, " or ".join(dict.fromkeys(wants)))
        for sentence, wants in wanted.items()
    )


def _sentence(detail: ErrorDetails, prefix: str, known: list[str], whole: str) -> tuple[str, str]:
    """The sentence with a gap for the expected value, and what fills the gap."""
    kind = detail["type"]
    parts = [str(part) for part in detail["loc"] if not _BRANCH.fullmatch(str(part))]
    key = prefix + ".".join(parts) or whole
    if kind == "extra_forbidden":
        return unknown_key(key, known), ""
    if kind == "missing":
        return f"{key} is missing", ""
    if kind == "value_error":
        return f"{key}: {detail['ctx']['error']}", ""
    value = one_line(repr(_shown(detail["input"], parts)), _LONGEST_VALUE)
    want = _wanted(kind, detail.get("ctx", {}))
    if want is None:
        return f"{key}: {detail['msg']}, got {value}", ""
    return f"{key} must be {_WANT}, got {value}", want


def _shown(value: object, parts: list[str]) -> object:
    """The given value, without secrets."""
    places = zip(parts, ["", *parts], strict=False)
    if value is not None and any(Place(*place).is_secret for place in places):
        return MASK
    return shown({"": value}, *parts[-1:])[""]


def _wanted(kind: str, context: dict[str, Any]) -> str | None:
    if kind in _BOUNDS:
        name, words = _BOUNDS[kind]
        return f"{words} {context[name]:.12g}"
    return context["expected"] if kind == "literal_error" else _WANTED.get(kind)
