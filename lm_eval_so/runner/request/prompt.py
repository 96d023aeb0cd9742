"""What is done to the messages of a sample before they are sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from lm_eval_so.runner.request.conversation import text_part, without_system

if TYPE_CHECKING:
    from lm_eval_so.runner.models import Message, TestSample
    from lm_eval_so.runner.request.few_shot import Examples
    from lm_eval_so.runner.request.template import Template

_BETWEEN = "\n\n"


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """Makes the messages that are sent from those of a sample.

    Attributes:
        system: The system message.
        system_mode: What becomes of the sample's own, as in the config.
        template: Makes the last user turn.
        examples: Stand between the system message and the turns of the sample.
    """

    system: str | None = None
    system_mode: Literal["replace", "prepend", "default"] = "replace"
    template: Template | None = None
    examples: Examples | None = None

    def messages(self, sample: TestSample) -> list[Message]:
        """The messages that are sent for the sample.

        Raises:
            ValueError: The template or the examples do not fit the sample, in one sentence.
        """
        own, turns = without_system(sample.messages)
        if self.template is not None:
            turns = self.template.applied(sample, turns)
        before = [] if self.examples is None else self.examples.before(sample)
        return [*self._system(own), *before, *turns]

    def _system(self, own: list[Message]) -> list[Message]:
        if self.system is None or (own and self.system_mode == "default"):
            return own
        if own and self.system_mode == "prepend":
            first, *others = own
            return [_prepended(self.system, first), *others]
        return [{"role": "system", "content": self.system}]


def _prepended(text: str, message: Message) -> Message:
    content = message.get("content")
    if isinstance(content, list):
        return {**message, "content": [text_part(text + _BETWEEN), *content]}
    return {**message, "content": f"{text}{_BETWEEN}{content}" if content else text}
