"""A Jinja template for the last user turn."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from lm_eval_so.runner.errors import ConfigError
from lm_eval_so.runner.request.conversation import last_user_turn, text_of, with_text
from lm_eval_so.runner.text.sandbox import repeatable
from lm_eval_so.runner.text.wording import nearest

if TYPE_CHECKING:
    from jinja2 import Environment

    from lm_eval_so.runner.models import Message, TestSample

_UNDEFINED = re.compile(r"'(\w+)' is undefined")


class Template:
    """Text with expressions over the fields of a sample, in a sandbox.

    Args:
        text: Jinja.
        name: Where the text comes from, for errors: ``prompt.template``, or a file.

    Raises:
        ConfigError: The text is no template.
    """

    def __init__(self, text: str, name: str) -> None:
        from jinja2 import TemplateError, TemplateSyntaxError  # noqa: PLC0415 - 50 ms; few need it

        self.name = name
        try:
            self._template = _environment().from_string(text)
        except TemplateSyntaxError as error:
            raise ConfigError(f"{name}:{error.lineno}: not a template: {error.message}") from error
        except TemplateError as error:
            raise ConfigError(f"{name}: not a template: {error.message}") from error

    def applied(self, sample: TestSample, turns: list[Message]) -> list[Message]:
        """The turns with the text in the place of the last user turn's.

        Args:
            sample: Its fields are the template's.
            turns: Of the sample, without those that are not sent.

        Raises:
            ValueError: In one sentence: a field is missing, or the text is empty.
        """
        position = last_user_turn(turns)
        if position is None:
            raise ValueError(f"{self.name} makes a user turn, and the sample has none")
        turn = turns[position]
        changed = with_text(turn, self._rendered(sample, text_of(turn)))
        return [*turns[:position], changed, *turns[position + 1 :]]

    def _rendered(self, sample: TestSample, text: str) -> str:
        fields = _fields(sample, text)
        try:
            rendered = self._template.render(fields)
        except Exception as error:
            raise ValueError(f"{self.name}: {_sentence(error, fields)}") from error
        if not rendered.strip():
            raise ValueError(f"{self.name} gives an empty text")
        return rendered


def _fields(sample: TestSample, text: str) -> dict[str, Any]:
    return {
        **(sample.model_extra or {}),
        "id": sample.id,
        "input": text,
        "expected": sample.expected,
        "tags": sample.tags,
        "metadata": sample.metadata,
        "messages": sample.messages,
    }


def _environment() -> Environment:
    from jinja2 import StrictUndefined  # noqa: PLC0415 - as above
    from jinja2.sandbox import ImmutableSandboxedEnvironment  # noqa: PLC0415 - as above

    return repeatable(ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False))


def _sentence(error: Exception, fields: dict[str, Any]) -> str:
    unknown = _UNDEFINED.fullmatch(str(error))
    if unknown is None:
        return str(error) or type(error).__name__
    hint = nearest(unknown[1], fields) or f"; a sample here has {', '.join(sorted(fields))}"
    return f"the sample has no {unknown[1]!r}{hint}"
