"""Secrets are read where they are used and written nowhere."""

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote_plus

import orjson
from pydantic import SecretStr

from lm_eval_so.runner.models import RunError, is_secret_name

MASK = "***"
_SHORTEST_IN_RECORDS = 8  # "test" or "ollama" as a key must not be cut out of an answer
_SHORTEST = 4


_USERINFO = re.compile(r"(?<=://)[^/?#\s]*@")
_PARAMETER = re.compile(r"(?<=[?&])([^=&#\s]*)=([^&#\s]*)")
_QUERY = "default_query"


def public_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options without what is secret in them: safe to write."""
    return {
        name: _public_query(value) if name == _QUERY else _public(value)
        for name, value in options.items()
        if not isinstance(value, SecretStr)
    }


def _public(value: object) -> object:
    if isinstance(value, Mapping):
        return public_options(value)
    if isinstance(value, list):
        return [_public(item) for item in value if not isinstance(item, SecretStr)]
    return public_address(value) if isinstance(value, str) else value


def _public_query(value: object) -> object:
    if not isinstance(value, Mapping):
        return _public(value)
    return public_options({k: v for k, v in value.items() if not is_secret_parameter(k)})


def is_secret_parameter(name: str) -> bool:
    """Whether a parameter of an address holds a secret; ``code`` is the key of Azure Functions."""
    return is_secret_name(name) or name.lower() == "code"


def public_address(url: str) -> str:
    """``https://user:password@host/v1?key=...`` without what is secret in it."""
    if "://" not in url:
        return url
    return _PARAMETER.sub(
        lambda found: f"{found[1]}={MASK}" if is_secret_parameter(found[1]) else found[0],
        without_userinfo(url),
    )


def without_userinfo(url: str) -> str:
    """``https://user:password@host/v1`` without the part before the ``@``."""
    return _USERINFO.sub("", url)


def secrets_in(options: Mapping[str, Any]) -> Iterator[str]:
    """Every secret the options hold or name: values, variables named by ``*_env``, passwords."""
    for name, value in options.items():
        if str(name).endswith("_env"):
            yield os.environ.get(str(value), "")
        else:
            yield from _secrets_of(value)


def _secrets_of(value: object) -> Iterator[str]:
    if isinstance(value, SecretStr):
        secret = value.get_secret_value()
        yield secret
        yield from secret.split()[1:]  # the token of "Bearer <token>"
    elif isinstance(value, Mapping):
        yield from secrets_in(value)
    elif isinstance(value, list):
        for item in value:
            yield from _secrets_of(item)
    elif isinstance(value, str):
        for found in _USERINFO.findall(value):
            user, colon, password = found[:-1].partition(":")
            yield password if colon else user  # a token may stand in the place of the user
        for name, text in _PARAMETER.findall(value) if "://" in value else ():
            if is_secret_parameter(name):
                yield from (text, unquote_plus(text))


class Redactor:
    """Takes known secrets out of what is about to be written or shown."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        words = sorted({word for word in secrets if len(word) >= _SHORTEST}, key=len, reverse=True)
        self._words = words
        self._long_words = [word for word in words if len(word) >= _SHORTEST_IN_RECORDS]
        self._record_words = [
            json.dumps(word, ensure_ascii=False)[1:-1].encode() for word in self._long_words
        ]

    def text(self, text: str) -> str:
        """The text without any secret."""
        return _masked(text, self._words)

    def error(self, error: RunError) -> RunError:
        """The error without any secret in its message or details."""
        return error.model_copy(
            update={
                "message": self.text(error.message),
                "details": self._clean(error.details, self._words),
            }
        )

    def record(self, line: bytes) -> bytes:
        """A JSON line without any secret long enough to be one."""
        if not any(word in line for word in self._record_words):
            return line
        return orjson.dumps(self._clean(orjson.loads(line), self._long_words))

    def _clean(self, value: Any, words: list[str]) -> Any:  # noqa: ANN401 - any JSON value
        if isinstance(value, str):
            return _masked(value, words)
        if isinstance(value, dict):
            return {
                _masked(str(name), words): self._clean(item, words) for name, item in value.items()
            }
        return [self._clean(item, words) for item in value] if isinstance(value, list) else value


def _masked(text: str, words: list[str]) -> str:
    for word in words:
        text = text.replace(word, MASK)
    return text
