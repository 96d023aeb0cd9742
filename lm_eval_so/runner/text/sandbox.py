"""What Jinja may do in an expression of the config."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Environment

_BY_CHANCE = {"filters": "random", "globals": "lipsum"}
"""What gives another value each time; a question that is asked again must be the same."""


def repeatable(environment: "Environment") -> "Environment":
    """The environment, without what gives another value each time."""
    for kind, name in _BY_CHANCE.items():
        del getattr(environment, kind)[name]
    return environment
