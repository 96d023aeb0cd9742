"""Secrets are read where they are used and written nowhere."""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from pydantic import SecretStr

from lm_eval_so.runner.models import RunError

MASK = "***"
_SHORTEST_IN_RECORDS = 8  # "test" or "ollama" as a key must not be cut out of an answer
_SHORTEST = 4


def public_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options without what is secret in them: safe to write."""
    return {
        name: _public(value) for name, value in options.items() if not isinstance(value, SecretStr)
    }


def _public(value: object) -> object:
    if isinstance(value, Mapping):
        return public_options(value)
    return without_userinfo(value) if isinstance(value, str) else value


def without_userinfo(url: str) -> str:
    """``https://user:password@host/v1`` without the part before the ``@``."""
    if "://" not in url or "@" not in url:
        return url
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def secrets_in(options: Mapping[str, Any]) -> Iterator[str]:
    """Every secret the options hold or name: values, variables named by ``*_env``, passwords."""
    for name, value in options.items():
        if name.endswith("_env"):
            yield os.environ.get(str(value), "")
        elif isinstance(value, SecretStr):
            secret = value.get_secret_value()
            yield secret
            yield from secret.split()[1:]  # the token of "Bearer <token>"
        elif isinstance(value, Mapping):
            yield from secrets_in(value)
        elif isinstance(value, str) and without_userinfo(value) != value:
            yield urlsplit(value).password or ""


class Redactor:
    """Takes known secrets out of what is about to be written or shown."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        words = sorted({word for word in secrets if len(word) >= _SHORTEST}, key=len, reverse=True)
        self._words = words
        self._record_words = [
            json.dumps(word, ensure_ascii=False)[1:-1].encode()
            for word in words
            if len(word) >= _SHORTEST_IN_RECORDS
        ]

    def text(self, text: str) -> str:
        """The text without any secret."""
        for word in self._words:
            text = text.replace(word, MASK)
        return text

    def error(self, error: RunError) -> RunError:
        """The error without any secret in its message or details."""
        return RunError.model_validate_json(self.text(error.model_dump_json()))

    def record(self, line: bytes) -> bytes:
        """A JSON line without any secret long enough to be one."""
        for word in self._record_words:
            if word in line:
                line = line.replace(word, MASK.encode())
        return line
