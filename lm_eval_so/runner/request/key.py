"""The key of each question: equal keys are the same question."""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

import orjson

from lm_eval_so.runner.config.identity import canonical_json, sent
from lm_eval_so.runner.models import Message, RunConfig
from lm_eval_so.runner.models.media import MARK

_PLACEHOLDER = b'"messages":null'
_MARK = MARK.encode()
_FILE = re.compile(rb'(?<!\\)"file:(?:[^"\\]|\\.)*#sha256=([0-9a-f]{64})"')
"""A file that a message names: its content is the question, wherever it is."""


class RequestKeys:
    """Hashes questions: SHA-256 of the canonical JSON of what is sent.

    The part that all samples share is hashed once.

    Args:
        config: The model and its parameters.
        endpoint: Where the backend's answers come from.
        defaults: Parameters that are sent where the config names none.
        repeat: From 0; the same question asked again is another one.
    """

    def __init__(
        self,
        config: RunConfig,
        endpoint: str,
        defaults: Mapping[str, Any] | None = None,
        repeat: int = 0,
    ) -> None:
        self._parameters = {**(defaults or {}), **sent(config.parameters)}
        self._question = {
            "backend": config.backend,
            "endpoint": endpoint,
            "messages": None,
            "model": config.model,
            "parameters": self._parameters,
            **({"repeat": repeat} if repeat else {}),
        }
        self._shared = _around_messages(self._question)

    def key(self, messages: list[Message], parameters: Mapping[str, Any] | None = None) -> str:
        """The request key of a conversation, in hex.

        Args:
            messages: The conversation.
            parameters: The sample's own, such as its tools; they take the place of the config's.
        """
        before, after = self._shared
        if parameters:
            all_of_them = {**self._parameters, **parameters}
            before, after = _around_messages({**self._question, "parameters": all_of_them})
        digest = before.copy()
        digest.update(_messages_json(messages))
        digest.update(after)
        return digest.hexdigest()


def messages_key(messages: list[Message]) -> str:
    """SHA-256 of a conversation alone, in hex."""
    return hashlib.sha256(_messages_json(messages)).hexdigest()


def _around_messages(question: Mapping[str, Any]) -> tuple["hashlib._Hash", bytes]:
    """The hash of what stands before the messages, and the text that stands behind them."""
    before, _, after = canonical_json(question).partition(_PLACEHOLDER)
    return hashlib.sha256(before + b'"messages":'), after


def _messages_json(messages: list[Message]) -> bytes:
    text = orjson.dumps(messages, option=orjson.OPT_SORT_KEYS)
    return _FILE.sub(rb'"sha256:\1"', text) if _MARK in text else text
