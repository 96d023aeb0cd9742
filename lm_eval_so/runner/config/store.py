"""What is kept of an answer."""

from typing import Annotated

from pydantic import Field, field_validator

from lm_eval_so.runner.config.base import Config


class StoreOptions(Config):
    """What a result line keeps of an answer; no option here changes an answer.

    Attributes:
        raw: Whether the whole answer of the server is kept.
        record_headers: Names of the answer's headers that are kept, in any case.
        parts_above: Results; a run with more keeps them in parts, so that a resume costs what is
            unfinished.
        shard_size: Samples of a part; None for 1,000, or fewer where many workers share them.
        join_limit_gb: Gigabytes of results up to which the parts are joined at the end.
    """

    raw: bool = True
    record_headers: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    parts_above: Annotated[int, Field(ge=0)] = 1_000_000
    shard_size: Annotated[int, Field(ge=1)] | None = None
    join_limit_gb: Annotated[float, Field(ge=0)] = 20.0

    @field_validator("record_headers", mode="before")
    @classmethod
    def _one_name(cls, value: object) -> object:
        return [value] if isinstance(value, str) else value
