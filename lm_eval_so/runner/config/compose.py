"""Turns a composed DictConfig into a RunPlan; the stages of a run never see OmegaConf."""

import base64
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException
from pydantic import ValidationError

from lm_eval_so.runner.config.messages import invalid
from lm_eval_so.runner.config.schema import ComposedConfig, PromptConfig, RunPlan
from lm_eval_so.runner.errors import ConfigError
from lm_eval_so.runner.models import RunConfig

_NOT_PARAMETERS = {"model": "model=...", "messages": "the dataset"}
_NO_PROMPT = "none"
_UNSET = re.compile(r"Environment variable '(\w+)' not found")
_NEEDED = {
    "system": "prompt.system='...' or prompt.system_file=FILE",
    "template": "prompt.template='...' or prompt.template_file=FILE",
    "few_shot": "prompt.few_shot.path=DATASET",
}
"""What the shipped options of the group ``prompt`` leave to be set."""


class EncodedJson(str):
    """JSON text that Hydra does not parse."""

    __slots__ = ()

    @classmethod
    def resolve(cls, encoded: str) -> "EncodedJson":
        """The resolver ``${json_value:<base64url>}``."""
        padded = encoded + "=" * (-len(encoded) % 4)
        return cls(base64.urlsafe_b64decode(padded).decode())

    @classmethod
    def interpolation(cls, value: object) -> str:
        """The override that stands for ``value``, without characters that Hydra would parse."""
        encoded = base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")
        return f"${{json_value:{encoded}}}"


def plan_from(composed: DictConfig, prompt_option: str | None = None) -> RunPlan:
    """Validates what Hydra composed.

    Args:
        composed: The config.
        prompt_option: The chosen option of the group ``prompt``.

    Raises:
        ConfigError: A key or a value is wrong, or a value is missing.
    """
    try:
        tree = OmegaConf.to_container(composed, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        key = getattr(error, "full_key", None) or "a value"
        if isinstance(error, MissingMandatoryValue):
            raise ConfigError(f"{key} is missing; set {key}=...") from error
        if unset := _UNSET.search(str(error)):
            raise ConfigError(f"{key}: the variable {unset[1]} is not set") from error
        raise ConfigError(f"{key}: {str(error).splitlines()[0]}") from error
    return plan_from_tree(_plain(tree), prompt_option)


def plan_from_tree(
    tree: Any,  # noqa: ANN401 - pydantic says what it is
    prompt_option: str | None = None,
) -> RunPlan:
    """Validates a config that is plain data.

    Args:
        tree: The config.
        prompt_option: As `plan_from`.

    Raises:
        ConfigError: As `plan_from`.
    """
    try:
        config = ComposedConfig.model_validate(tree)
    except ValidationError as error:
        raise invalid(error) from error
    _check_parameters(config.params)
    return RunPlan(
        dataset=config.dataset,
        prompt=config.prompt,
        prompt_option=_own_option(config.prompt, prompt_option),
        run_config=RunConfig(
            backend=config.backend.kind,
            model=_model(config),
            parameters=config.params,
            backend_options=config.backend.options,
            metadata=config.metadata,
        ),
        select=config.select,
        variant=config.variant,
        repeats=config.repeats,
        options=config.runner,
        store=config.store,
        engine=config.engine,
        tracking=config.tracking,
        report=config.report,
        output_root=config.output_root,
        output_dir=config.output_dir,
        sweep_name=config.sweep_name,
        objective=config.objective,
        preview=config.preview,
        check=config.check,
    )


def _own_option(prompt: PromptConfig, option: str | None) -> str | None:
    """The option if it is the user's own, since the shipped ones name no prompt."""
    if option in _NEEDED and not prompt.is_set:
        raise ConfigError(f"prompt={option} needs {_NEEDED[option]}")
    return None if option in _NEEDED or option == _NO_PROMPT else option


def _model(config: ComposedConfig) -> str:
    if config.model:
        return config.model
    if model_path := config.backend.options.get("model_path"):
        return Path(
            str(model_path)
        ).stem  # another file is another model, so the model is named after it
    if config.backend.default_model:
        return config.backend.default_model
    raise ConfigError(f"backend {config.backend.kind!r} needs a model: model=NAME (--model NAME)")


def _check_parameters(parameters: Mapping[str, Any]) -> None:
    for name, owner in _NOT_PARAMETERS.items():
        if name in parameters:
            raise ConfigError(f"params.{name} is not a parameter: {name} comes from {owner}")


def _plain(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, EncodedJson):
        return json.loads(value)
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value
