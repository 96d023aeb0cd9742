"""What decides the answers."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field

from lm_eval_so.runner.masking.options import concealed
from lm_eval_so.runner.models.plain_json import JsonObject
from lm_eval_so.runner.models.value import Value
from lm_eval_so.runner.text.wording import Told


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
    parameters: JsonObject = Field(default={})
    backend_options: Annotated[JsonObject, AfterValidator(concealed)] = Field(default={})
    metadata: JsonObject = Field(default={})


class RecordedConfig(Value):
    """The RunConfig as results keep it: without secrets."""

    backend: str
    model: str
    parameters: dict[str, Any]
    backend_options: dict[str, Any]
