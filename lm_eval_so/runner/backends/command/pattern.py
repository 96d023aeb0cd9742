"""Fields of an answer by a regular expression with named groups."""

from __future__ import annotations

import re
from typing import Any

from lm_eval_so.runner.backends.http.numbers import number, whole_number

TEXT_GROUP = "text"
_WORDS = {TEXT_GROUP, "reasoning", "finish_reason", "model", "request_id"}
_TOKENS = {
    "input_tokens": "input",
    "output_tokens": "output",
    "total_tokens": "total",
    "cached_tokens": "cached",
    "reasoning_tokens": "reasoning",
}
_MILLISECONDS = {"time_to_first_token_ms", "time_to_first_answer_token_ms"}
_SECONDS = {name.removesuffix("_ms") + "_s": name for name in _MILLISECONDS}
GROUPS = {*_WORDS, *_TOKENS, *_MILLISECONDS, *_SECONDS, "cost_usd"}
"""Names that a group may have."""


def read_pattern(pattern: str, text: str) -> dict[str, Any] | None:
    """The fields that the groups found; None where the pattern is nowhere in the text."""
    match = re.search(pattern, text)
    if match is None:
        return None
    found = {name: value for name, value in match.groupdict().items() if value is not None}
    fields: dict[str, Any] = {name: found[name] for name in _WORDS & found.keys()}
    tokens = {_TOKENS[name]: whole_number(found[name]) for name in _TOKENS.keys() & found.keys()}
    if tokens:
        fields["tokens"] = tokens
    for name in found.keys() & {*_MILLISECONDS, "cost_usd"}:
        fields[name] = number(found[name])
    for name in found.keys() & _SECONDS.keys():
        seconds = number(found[name])
        fields[_SECONDS[name]] = None if seconds is None else seconds * 1000
    return fields
