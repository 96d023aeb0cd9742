"""The group ``select``: which samples are asked."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from lm_eval_so.runner.config.base import Config, UserPath


class SelectConfig(Config):
    """Which samples are asked; None selects all. No part of a run's identity.

    The filters (ids, tags, where, shard) come first, then ``sample`` or ``limit``.

    Attributes:
        limit: The first so many.
        sample: So many at random: the same ones in any order of the dataset, and a larger sample
            of the same seed contains the smaller one.
        seed: Of ``sample``.
        stratify: ``tag`` shares the sample among the first tags, exactly but for rounding.
        ids: The ids, or the path of a file with one on each line.
        tags: Samples with one of these.
        where: A Jinja expression over the keys of a sample, such as ``'ko' in metadata.languages``.
        shard: ``i/n``, from ``1/n`` to ``n/n``: by a hash of the id.
    """

    limit: Annotated[int, Field(ge=1)] | None = None
    sample: Annotated[int, Field(ge=1)] | None = None
    seed: int = 0
    stratify: Literal["tag"] | None = None
    ids: Annotated[list[str], Field(min_length=1)] | UserPath | None = None
    tags: Annotated[list[str], Field(min_length=1)] | None = None
    where: Annotated[str, Field(min_length=1)] | None = None
    shard: str | None = None

    @field_validator("tags", mode="before")
    @classmethod
    def _one_or_more(cls, tags: object) -> object:
        return [tags] if isinstance(tags, str | int) else tags

    @field_validator("shard")
    @classmethod
    def _is_a_part(cls, shard: str | None) -> str | None:
        if shard is not None:
            number, _, count = shard.partition("/")
            if not (number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
                raise ValueError(f"must be i/n, from 1/n to n/n, got {shard!r}")
        return shard

    @model_validator(mode="after")
    def _go_together(self) -> Self:
        if self.limit is not None and self.sample is not None:
            raise ValueError(
                "limit takes the first samples and sample takes them at random: set one of them"
            )
        if self.stratify is not None and self.sample is None:
            raise ValueError("stratify shares out a random sample: set sample too")
        return self

    @property
    def part(self) -> tuple[int, int] | None:
        """The number of the shard, from 1, and how many there are."""
        if self.shard is None:
            return None
        number, _, count = self.shard.partition("/")
        return int(number), int(count)

    @property
    def given(self) -> dict[str, Any]:
        """What was asked, as plain data: what differs from the defaults, and the seed it needs."""
        given = self.model_dump(mode="json", exclude_defaults=True)
        return given if self.sample is None else {**given, "seed": self.seed}
