"""What is kept of an answer."""

from typing import Annotated

from pydantic import Field, field_validator

from lm_eval_so.runner.config.base import Config


class StoreOptions(Config):
    """What a result line keeps of an answer; no option here changes an answer.

    Attributes:
        raw: Whether the whole answer of the server is kept.
        record_headers: Names of the answer's headers that are kept, in any case.
    """

    raw: bool = True
    record_headers: tuple[Annotated[str, Field(min_length=1)], ...] = ()

    @field_validator("record_headers", mode="before")
    @classmethod
    def _one_name(cls, value: object) -> object:
        return [value] if isinstance(value, str) else value
