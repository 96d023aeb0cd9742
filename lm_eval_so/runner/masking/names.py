"""The one list of names that stand for secrets: of options, headers, parameters and variables."""

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
"""A tokenizer's words, and keys that lock nothing (``prompt_cache_key``)."""

_HEADERS, _QUERIES = re.compile(r"(^|_)headers$"), re.compile(r"(^|_)query$")
_NAMES_VARIABLE = "_env"
HANDED_ON = "LM_EVAL_SO_SECRET_"
"""Variables in which secrets of the command line are handed on begin with this."""


def is_secret_name(name: str) -> bool:
    """Whether an option, a header or a variable of this name holds a secret.

    ``api_key_env`` does not; of a dotted key the last part counts.
    """
    plain = _plain(name)
    return _SECRET.search(plain) is not None and _NO_SECRET.search(plain) is None


def is_secret_parameter(name: str) -> bool:
    """Whether a parameter of an address holds a secret; ``code`` is the key of Azure Functions."""
    return is_secret_name(name) or _plain(name) == "code"


def holds_headers(name: str) -> bool:
    """Whether an option of this name maps names of headers to values, all of which are secret."""
    return _HEADERS.search(_plain(name)) is not None


def holds_query(name: str) -> bool:
    """Whether an option of this name maps names of an address's parameters to values."""
    return _QUERIES.search(_plain(name)) is not None


def names_variable(name: str) -> bool:
    """Whether an option of this name holds the name of a variable that holds a secret."""
    return _plain(name).endswith(_NAMES_VARIABLE)


def _plain(name: str) -> str:
    return str(name).lower().replace("-", "_").rpartition(".")[2]
