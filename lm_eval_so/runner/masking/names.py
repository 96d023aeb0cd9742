"""The list of names of secrets: options, headers, parameters and variables."""

import re

_SECRET = re.compile(
    r"(api_?keys?|(^|_)key|(access|account|auth|master|private|secret|subscription)_?key"
    r"|passwords?|passwd|passphrase|(^|_)pwd|secret|token|jwt|bearer|credentials?"
    r"|(^|_)auth|authorization|cookie|(^|_)sig(nature)?)$"
)
_NO_SECRET = re.compile(
    r"(^|_)((bos|cls|eos|mask|pad|sep|unk|begin|end|special|start|stop|image|audio|per)_token"
    r"|(cache|foreign|group|primary|public|sort)_key)$"
)
"""Words of tokenizers, and keys that are not secret (``prompt_cache_key``)."""

_HEADERS, _QUERIES = re.compile(r"(^|_)headers$"), re.compile(r"(^|_)query$")
_NAMES_VARIABLE = re.compile(r"(^|_)env$")
VARIABLE = "env"
"""``{env: NAME}`` in the place of a value: that of the variable is the secret, its name is none."""
WAYS_TO_A_KEY = "auth"
"""``{token_command: [...]}``: how a key is found. Its words stay readable in errors."""
HANDED_ON = "LM_EVAL_SO_SECRET_"
"""Prefix of the variables that pass secrets of the command line to other processes."""


def is_secret_name(name: str) -> bool:
    """Whether an option, a header or a variable of this name holds a secret.

    ``api_key_env`` does not. Only the last part of a dotted key counts.
    """
    plain = _plain(name)
    return _SECRET.search(plain) is not None and _NO_SECRET.search(plain) is None


def is_secret_parameter(name: str) -> bool:
    """Whether a URL parameter holds a secret; ``code`` is the key of Azure Functions."""
    return is_secret_name(name) or _plain(name) == "code"


def holds_headers(name: str) -> bool:
    """Whether an option of this name maps header names to values, which are all secret."""
    return _HEADERS.search(_plain(name)) is not None


def holds_query(name: str) -> bool:
    """Whether an option of this name maps names of URL parameters to values."""
    return _QUERIES.search(_plain(name)) is not None


def names_variable(name: str) -> bool:
    """Whether an option of this name names an environment variable with a secret.

    ``api_key_env: NAME``, and ``{env: NAME}`` in the place of a value.
    """
    return _NAMES_VARIABLE.search(_plain(name)) is not None


def _plain(name: str) -> str:
    return str(name).lower().replace("-", "_").rpartition(".")[2]
