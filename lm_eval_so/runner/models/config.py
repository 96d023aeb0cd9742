"""What decides the answers."""

from __future__ import annotations

from typing import Annotated, Any

import orjson
from pydantic import AfterValidator, ConfigDict, Field

from lm_eval_so.runner.masking.options import concealed, opened
from lm_eval_so.runner.models.value import Value
from lm_eval_so.runner.text.wording import Told


def _with_json_form(values: dict[str, Any]) -> dict[str, Any]:
    for name, value in values.items():
        try:
            orjson.dumps({name: opened(value)}, option=orjson.OPT_NON_STR_KEYS)
        except TypeError as error:
            raise ValueError(f"{name!r} has no JSON form: {error}") from error
    return values


_JsonObject = Annotated[dict[str, Any], AfterValidator(_with_json_form)]


class RunConfig(Value, metaclass=Told):
    """What decides the answers; all of it is kept as JSON.

    Attributes:
        backend: Kind of the backend: ``openai``, ``local``, ``simulated`` or a third party's.
        model: Name of the model, as the backend knows it.
        parameters: Sent to the model as they are; a None is not sent.
        backend_options: Read by the backend. Secrets in it are concealed at once.
        metadata: Notes; they change nothing.
    """

    model_config = ConfigDict(extra="forbid")

    backend: Annotated[str, Field(min_length=1)]
    model: Annotated[str, Field(min_length=1)]
    parameters: _JsonObject = Field(default={})
    backend_options: Annotated[_JsonObject, AfterValidator(concealed)] = Field(default={})
    metadata: _JsonObject = Field(default={})


class RecordedConfig(Value):
    """The RunConfig as results keep it: without secrets."""

    backend: str
    model: str
    parameters: dict[str, Any]
    backend_options: dict[str, Any]
