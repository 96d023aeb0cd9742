"""The group ``prompt`` of the config."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from lm_eval_so.runner.config.base import Config, UserPath


class FewShotConfig(Config):
    """Examples that are put before each question.

    Attributes:
        path: A dataset; each sample needs an answer: ``expected``, or a last assistant turn.
        count: Examples for each question.
        seed: Draws them; None takes the first ones.
    """

    path: UserPath
    count: Annotated[int, Field(ge=1, le=1000)] = 3
    seed: int | None = None


class PromptConfig(Config):
    """What is done to the messages of a sample before they are sent.

    Attributes:
        name: Stands for the prompt in the identity of the run: an edited prompt of the same name
            continues in the same directory. Without a name, its content is part of the identity.
        system: The system message.
        system_mode: What becomes of the sample's own: ``replace`` removes it, ``prepend`` puts ours
            and a blank line before it, ``default`` keeps it in the place of ours.
        template: Jinja text that becomes the last user turn; ``{{ input }}`` is that turn.
        few_shot: Examples; put after the system message.
    """

    name: Annotated[str, Field(min_length=1)] | None = None
    system: Annotated[str, Field(min_length=1)] | None = None
    system_file: UserPath | None = None
    system_mode: Literal["replace", "prepend", "default"] = "replace"
    template: Annotated[str, Field(min_length=1)] | None = None
    template_file: UserPath | None = None
    few_shot: FewShotConfig | None = None

    @property
    def is_set(self) -> bool:
        """Whether it changes anything."""
        parts = (self.system, self.system_file, self.template, self.template_file, self.few_shot)
        return any(part is not None for part in parts)

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        for part in ("system", "template"):
            if getattr(self, part) is not None and getattr(self, f"{part}_file") is not None:
                raise ValueError(f"{part} and {part}_file are both set; set one of them to null")
        if self.name is not None and not self.is_set:
            raise ValueError(f"{self.name!r} is the name of a prompt without text or examples")
        return self
