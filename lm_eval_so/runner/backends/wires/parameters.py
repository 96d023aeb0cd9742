"""Parameters of Chat Completions, written as another wire has them; its own pass as they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lm_eval_so.runner.backends.wires.conversation import NotCarriedError

Fragment = dict[str, Any]
Writer = Callable[[str, Any], Fragment]
"""Gets the name and the value of a parameter, and gives what is sent for it."""


def translated(parameters: Mapping[str, Any], writers: Mapping[str, Writer], wire: str) -> Fragment:
    """The parameters as a wire has them. Where two names come to one, the later one counts.

    Args:
        parameters: By their names in Chat Completions, or by the wire's own.
        writers: By the names that are written in another way.
        wire: Its name, for the error.

    Raises:
        NotCarriedError: One has no counterpart.
    """
    found: Fragment = {}
    for name, value in parameters.items():
        writer = writers.get(name)
        try:
            fragment = {name: value} if writer is None else writer(name, value)
        except NotCarriedError as error:
            raise NotCarriedError(f"the parameter {name}={value!r:.60} {error} {wire}") from error
        except (AttributeError, TypeError) as error:
            raise NotCarriedError(
                f"the parameter {name}={value!r:.60} is not of a type that it can have"
            ) from error
        _merge(found, fragment)
    return found


def sent_as(*path: str) -> Writer:
    """Writes the value under another name: ``sent_as("reasoning", "effort")``."""

    def write(_: str, value: Any) -> Fragment:  # noqa: ANN401 - any parameter
        for name in reversed(path):
            value = {name: value}
        return dict(value)

    return write


def only(*neutral: Any) -> Writer:  # noqa: ANN401 - any parameter
    """Leaves out what changes nothing, and refuses the rest."""

    def write(_: str, value: Any) -> Fragment:  # noqa: ANN401 - any parameter
        if value in neutral:
            return {}
        raise NotCarriedError("has no counterpart in")

    return write


def function_of(tool: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The function that a tool of Chat Completions is; None of a tool of a wire's own."""
    function = tool.get("function")
    return function if isinstance(function, Mapping) else None


def _merge(whole: Fragment, fragment: Fragment) -> None:
    for name, value in fragment.items():
        known = whole.get(name)
        if isinstance(known, dict) and isinstance(value, dict):
            whole[name] = {**known, **value}
        else:
            whole[name] = value
