"""Options of the ``python`` backend."""

from pydantic import ConfigDict, Field, field_validator

from lm_eval_so.runner.config.schema import Config


class PythonOptions(Config):
    """What answers; keys of other names are the callable's own.

    Attributes:
        callable: ``bot.py:answer`` or ``package.module:Class``.
    """

    model_config = ConfigDict(extra="allow")

    callable: str = Field()

    @field_validator("callable")
    @classmethod
    def _is_reference(cls, value: str) -> str:
        where, _, name = value.rpartition(":")
        if not where.strip() or not all(part.isidentifier() for part in name.split(".")):
            raise ValueError(
                f"must be FILE.py:NAME or package.module:NAME, such as bot.py:answer, got {value!r}"
            )
        return value
