"""Secrets in what was typed: kept from Hydra, and masked where a command is shown."""

from __future__ import annotations

import base64
import json
import os
import re
import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override, QuotedString
from hydra.errors import HydraException

from lm_eval_so.runner.masking.leaves import Place, is_secret_leaf, replace_leaves
from lm_eval_so.runner.masking.names import HANDED_ON, holds_headers, is_secret_name
from lm_eval_so.runner.masking.values import MASK, public_address, without_issued_keys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Replace = Callable[[str], str]
    """What stands in the place of a secret; a name, which needs no quotes in any grammar."""
    TextOf = Callable[[Any], str | None]

_ASSIGNED = re.compile(r"(?P<flag>--[\w-]+=)?(?P<key>[+~]{0,2}[\w.@/-]+)=(?P<value>.*)", re.DOTALL)
_MAY_HOLD = re.compile(
    r"key|token|secret|pass|pwd|auth|cookie|sig|jwt|bearer|credential|headers|query|_env|://|json_v"
    r"|(sk|rk|pk|gsk|xai|hf|r8|nvapi|pplx|csk|fw|tgp|ghp|glpat|github_pat)[-_]|AIza",
    re.IGNORECASE,
)
"""Only what matches is parsed, since that takes a millisecond."""
_NAME = r"(?P<name>[\w-]+)(?P<sign>['\"]?\s*[:=]\s*)"
_WHOLE = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|\{[^{}]*\}|\[[^\[\]]*\]"""
_PAIR = re.compile(rf"{_NAME}(?P<value>{_WHOLE}|[^,}}\s]+)")
_ANY_PAIR = re.compile(rf"{_NAME}(?P<value>(?:{_WHOLE})(?=\s*(?:[,}}]|$))|[^,}}]+)")
"""The same where nothing else stands between the pairs: whatever follows a name is its value."""
_ENCODED = re.compile(r"\$\{json_value:([\w-]*)\}")
_HIDDEN = re.compile(rf"\$\\?\{{oc\.env\\?:({HANDED_ON}[0-9a-f]+)\\?\}}")
"""Also as Hydra writes it where it has read it: with the special characters escaped."""
_OF_BACKENDS = "backend"
_handed_on: list[str] = []


def hide_secrets(arguments: Sequence[str]) -> list[str]:
    """Moves secrets typed as overrides into environment variables, before Hydra sees them.

    Hydra keeps the overrides of a run in its snapshots and repeats them in its errors; an
    interpolation of a variable is kept unresolved. The processes of a launcher inherit it.
    """
    return [_hidden(argument) for argument in arguments]


def mask_secrets(arguments: Sequence[str]) -> list[str]:
    """The arguments as they may be shown."""
    return [mask_secret(argument) for argument in arguments]


def mask_secret(argument: str) -> str:
    """An argument, or a sentence that repeats one, as it may be shown."""
    changed = _changed(argument, _masked).replace(_STANDS_FOR_MASK, MASK)
    return without_issued_keys(public_address(changed))


def mask_hidden(arguments: Sequence[str]) -> list[str]:
    """What `hide_secrets` gave, with masks for the variables, whose names differ each time."""
    typed = [_HIDDEN.sub(lambda found: os.environ[found[1]], argument) for argument in arguments]
    return [
        argument if argument == plain else mask_secret(plain)
        for argument, plain in zip(arguments, typed, strict=True)
    ]


@contextmanager
def handed_on_secrets() -> Iterator[None]:
    """Forgets, in the end, the variables that `hide_secrets` has set meanwhile."""
    before = len(_handed_on)
    try:
        yield
    finally:
        for variable in _handed_on[before:]:
            os.environ.pop(variable, None)
        del _handed_on[before:]


_STANDS_FOR_MASK = "LM_EVAL_SO_MASK"


def _masked(secret: str) -> str:
    """An address stays, without what is secret in it."""
    public = public_address(secret)
    return _STANDS_FOR_MASK if public == secret else public.replace(MASK, _STANDS_FOR_MASK)


def _hidden(argument: str) -> str:
    variables: list[str] = []

    def hide(secret: str) -> str:
        variables.append(_hand_on(secret))
        return variables[-1]

    changed = _changed(argument, hide)
    for variable in variables:
        changed = changed.replace(variable, f"${{oc.env:{variable}}}")
    return changed


def _hand_on(secret: str) -> str:
    variable = f"{HANDED_ON}{secrets.token_hex(4)}"
    os.environ[variable] = secret
    _handed_on.append(variable)
    return variable


def _changed(argument: str, replace: Replace) -> str:
    """The argument with something else in the place of each secret."""
    found = _ASSIGNED.fullmatch(argument)
    if found is None or not _MAY_HOLD.search(argument):
        return _in_text(argument, replace) if _MAY_HOLD.search(argument) else argument
    key = found["key"].lstrip("+~").partition("@")[0]
    place = Place.of(key)
    value = _changed_value(found["value"], place, replace, _text_for(key, replace))
    return argument[: found.start("value")] + value


def _text_for(key: str, replace: Replace) -> TextOf:
    """Numbers may be keys; those that are sent to a model must stay numbers."""
    return _text if replace is _masked or key.startswith(_OF_BACKENDS) else _words


def _changed_value(text: str, place: Place, replace: Replace, text_of: TextOf) -> str:
    encoded = _ENCODED.fullmatch(text)
    if encoded is not None:
        return _changed_json(text, encoded[1], place, replace)
    if text[:1] in {"{", "["} and (plain := _json(text)) is not None:
        changed = replace_leaves(plain, place, replace)
        return text if changed == plain else json.dumps(changed, ensure_ascii=False)
    try:
        value = OverridesParser.create().parse_override(f"k={text}")._value
    except HydraException:
        whole = bool(text) and is_secret_leaf(text, place)
        return replace(text) if whole else _in_text(text, replace, _ANY_PAIR)
    if isinstance(value, ChoiceSweep):
        return _changed_choice(
            text, value, replace_leaves(list(value.list), place, replace, text_of)
        )
    if isinstance(value, dict | list):
        changed = replace_leaves(value, place, replace, text_of)
        return text if changed == value else Override._get_value_element_as_str(changed)
    scalar = value.text if isinstance(value, QuotedString) else text.strip()
    is_plain = text_of(value) is None or not is_secret_leaf(scalar, place)
    return text if is_plain else replace(scalar)


def _changed_choice(text: str, sweep: ChoiceSweep, changed: list[Any]) -> str:
    if changed == sweep.list:
        return text
    items = ",".join(map(Override._get_value_element_as_str, changed))
    return items if sweep.simple_form else f"choice({items})"


def _changed_json(text: str, encoded: str, place: Place, replace: Replace) -> str:
    """What the other command line has encoded: it is replaced as a whole."""
    padded = encoded + "=" * (-len(encoded) % 4)
    plain = json.loads(base64.urlsafe_b64decode(padded))
    holds = False

    def note(_: str) -> str:
        nonlocal holds
        holds = True
        return MASK

    replace_leaves(plain, place, note)
    if not holds:
        return text
    changed = text.replace(encoded, replace(encoded))
    # Hydra reads an interpolation within another one in quotes alone.
    return changed if replace is _masked else f"'{changed}'"


def _text(value: Any) -> str | None:
    """The text of a leaf that may be a secret; None of one that cannot."""
    if isinstance(value, QuotedString):
        return str(value.text)
    if value is None or isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    return str(value)


def _words(value: Any) -> str | None:
    return _text(value) if isinstance(value, str | QuotedString) else None


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _in_text(text: str, replace: Replace, pairs: re.Pattern[str] = _PAIR) -> str:
    """What follows the name of a secret, in a text that nothing can parse."""

    def pair(found: re.Match[str]) -> str:
        name, value = found["name"], found["value"]
        if value.startswith("${"):
            return found[0]
        if is_secret_name(name) or holds_headers(name):
            if value[0] in "'\"" and value[-1] == value[0]:
                value = re.sub(r"\\(.)", r"\1", value[1:-1])
            return name + found["sign"] + replace(value)
        if value[0] in "{[":
            value = value[0] + _in_text(value[1:-1], replace, pairs) + value[-1]
        return name + found["sign"] + value

    return pairs.sub(pair, text)
