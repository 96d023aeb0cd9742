"""Recognises secrets without a name, and removes secrets from addresses."""

import os
import re
from collections.abc import Iterator, Mapping
from urllib.parse import unquote, unquote_plus

from lm_eval_so.runner.masking.names import HANDED_ON, is_secret_name, is_secret_parameter

MASK = "***"
_SHORTEST_KEY = 12  # characters
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_WORKING_DIRECTORY = "PWD"
"""A variable of every shell, with the name that a password may have elsewhere."""
_ISSUED = re.compile(
    r"(?<![A-Za-z0-9])(?:(?:sk|rk|pk|gsk|xai|hf|r8|nvapi|pplx|csk|fw|tgp|ghp|glpat|github_pat)[-_]"
    r"|AIza)[A-Za-z0-9_-]{16,}"
)
"""Keys by the prefixes that providers give them: OpenAI, Anthropic, Groq, xAI, Hugging Face,
Replicate, NVIDIA, Perplexity, Cerebras, Fireworks, Together, GitHub, GitLab, Google."""
_BEARER = re.compile(r"(?i)\b(Bearer|Basic) (?=\S*\d)([A-Za-z0-9._~+/=-]{8,})")

_USERINFO = re.compile(r"(?<=://)[^/?#\s'\"]*@")
_PARAMETER = re.compile(r"(?<=[?&;#])([^=&#;?\s'\"]+)=([^&#;\s'\"]*)")


def looks_like_key(word: str) -> bool:
    """Whether a word is probably a key: long, without spaces, and with digits."""
    return (
        len(word) >= _SHORTEST_KEY
        and any(sign.isdigit() for sign in word)
        and not any(sign.isspace() for sign in word)
    )


def is_issued_key(word: str) -> bool:
    """Whether a word begins like the keys of a provider."""
    return _ISSUED.fullmatch(word.strip()) is not None


def is_no_variable(name: str) -> bool:
    """Whether a value that should name a variable is a key instead."""
    if not _NAME.fullmatch(name):
        return True
    return name not in os.environ and name != name.upper() and looks_like_key(name)


def without_issued_keys(text: str) -> str:
    """The text without provider keys and tokens after ``Bearer``."""
    return _BEARER.sub(rf"\1 {MASK}", _ISSUED.sub(MASK, text))


def public_address(url: str) -> str:
    """``https://user:password@host/v1?key=...`` without its secrets; takes any text."""
    if "://" not in url:
        return url
    return _PARAMETER.sub(_public_parameter, without_userinfo(url))


def without_userinfo(url: str) -> str:
    """``https://user:password@host/v1`` without the part before the ``@``."""
    return _USERINFO.sub("", url)


def secrets_in_address(text: str) -> Iterator[str]:
    """Passwords, tokens used as a user name, and secret parameters."""
    if "://" not in text:
        return
    for found in _USERINFO.findall(text):
        user, colon, password = found[:-1].partition(":")
        word = password if colon else user
        yield from (word, unquote(word))
    for name, value in _PARAMETER.findall(text):
        if is_secret_parameter(unquote_plus(name)):
            yield from (value, unquote_plus(value))


def secrets_in_environment(environ: Mapping[str, str] | None = None) -> Iterator[str]:
    """The values of variables with the name of a secret.

    Only values that look like keys count: ``OPENAI_API_KEY=anything`` hides nothing by itself.
    Addresses of proxies and of MLflow may contain a password.
    """
    for name, value in (os.environ if environ is None else environ).items():
        yield from (within := list(secrets_in_address(value)))
        handed_on = name.startswith(HANDED_ON) and not within
        named = is_secret_name(name) and name != _WORKING_DIRECTORY
        if handed_on or (named and looks_like_key(value)):
            yield value


def without_handed_on() -> dict[str, str]:
    """The environment for a process that does not need the keys of the command line."""
    return {name: value for name, value in os.environ.items() if not name.startswith(HANDED_ON)}


def _public_parameter(found: re.Match[str]) -> str:
    name = found[1]
    return f"{name}={MASK}" if is_secret_parameter(unquote_plus(name)) else found[0]
