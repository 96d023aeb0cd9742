"""Single values of a config that is still text, and their places."""

from collections.abc import Callable
from typing import Any, NamedTuple

from lm_eval_so.runner.masking.names import (
    VARIABLE,
    WAYS_TO_A_KEY,
    holds_headers,
    holds_query,
    is_secret_name,
    is_secret_parameter,
    names_variable,
)
from lm_eval_so.runner.masking.values import (
    is_issued_key,
    is_no_variable,
    looks_like_key,
    public_address,
)

_INTERPOLATION = "${"


class Place(NamedTuple):
    """The place of a value in the config: ``backend.options.default_headers.Authorization``."""

    name: str
    mapping: str = ""

    @classmethod
    def of(cls, key: str) -> "Place":
        """The place of a dotted key."""
        path, _, name = key.rpartition(".")
        return cls(name, path.rpartition(".")[2])

    @property
    def is_secret(self) -> bool:
        """Whether every value there is a secret."""
        if self.name == VARIABLE:
            return False
        if holds_query(self.mapping) and is_secret_parameter(self.name):
            return True
        return is_secret_name(self.name) or holds_headers(self.mapping)

    def within(self, name: object) -> "Place":
        """The place of an item of the mapping there; all items below a secret are secret.

        But for the name of a variable, and the words of a command that prints a key.
        """
        own = str(name)
        is_open = own == VARIABLE or self.name == WAYS_TO_A_KEY
        return Place(own, self.name) if is_open or not self.is_secret else self


def is_secret_leaf(text: str, place: Place) -> bool:
    """Whether a single value is a secret, or an address that contains one."""
    if not text or text.startswith(_INTERPOLATION):
        return False
    if place.is_secret or holds_headers(place.name):
        return True
    if place.mapping == WAYS_TO_A_KEY and looks_like_key(text.rpartition("=")[2]):
        return True
    if is_issued_key(text) or public_address(text) != text:
        return True
    return names_variable(place.name) and is_no_variable(text)


def _plain(value: object) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    return str(value)


def replace_leaves(
    value: Any,  # noqa: ANN401 - any plain value
    place: Place,
    replace: Callable[[str], str],
    text_of: Callable[[Any], str | None] = _plain,
) -> Any:  # noqa: ANN401 - as above
    """The value with each secret replaced.

    Args:
        value: Mappings, lists and single values.
        place: The place of the value.
        replace: Returns the replacement of a secret.
        text_of: Returns the text of a single value; None if it cannot be a secret.
    """
    if isinstance(value, dict):
        return {
            key: replace_leaves(item, place.within(_key(key, text_of)), replace, text_of)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [replace_leaves(item, place, replace, text_of) for item in value]
    text = text_of(value)
    return replace(text) if text is not None and is_secret_leaf(text, place) else value


def _key(key: object, text_of: Callable[[Any], str | None]) -> str:
    return text_of(key) or str(key)
