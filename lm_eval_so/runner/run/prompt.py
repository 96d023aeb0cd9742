"""The prompt of a plan, read: what it does to a sample, and what is written of it."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lm_eval_so.runner.config.identity import canonical_json
from lm_eval_so.runner.config.schema import DatasetConfig, FewShotConfig, PromptConfig, RunPlan
from lm_eval_so.runner.dataset.check import check
from lm_eval_so.runner.dataset.reader import read_checked
from lm_eval_so.runner.dataset.source import locate
from lm_eval_so.runner.errors import ConfigError, DatasetError
from lm_eval_so.runner.models import TestSample
from lm_eval_so.runner.models.media import MARK, SCHEME, file_references, local_path
from lm_eval_so.runner.request.few_shot import Examples, choose, example_of
from lm_eval_so.runner.request.prompt import Prompt
from lm_eval_so.runner.request.template import Template
from lm_eval_so.runner.store.run_metadata import FewShotRecord, PromptRecord

_DIGITS = 6  # of a digest that stands for a name


@dataclass(frozen=True, kw_only=True)
class PlannedPrompt:
    """A prompt whose files have been read.

    Attributes:
        identity: What stands for it in the identity of a run: its name, else its content.
        files_in: A folder of the files that examples name, by their whole paths; None for none.
    """

    prompt: Prompt
    identity: dict[str, Any]
    record: PromptRecord
    files_in: Path | None = None


def planned_prompt(plan: RunPlan) -> PlannedPrompt | None:
    """Reads the prompt of a plan; None if messages are sent as they are.

    Raises:
        ConfigError: A file cannot be read, or a template is wrong.
        DatasetError: The examples cannot be read, or lack an answer.
    """
    config = plan.prompt
    if not config.is_set:
        return None
    system = _text("system", config.system, config.system_file)
    template_text = _text("template", config.template, config.template_file)
    template = None
    if template_text is not None:
        template = Template(template_text, str(config.template_file or "prompt.template"))
    examples, few_shot, files_in = None, None, None
    if config.few_shot is not None:
        examples, few_shot, files_in = _few_shot(config.few_shot, template)
    content = _content(config, system, template_text, few_shot)
    digest = hashlib.sha256(canonical_json(content)).hexdigest()
    mode = config.system_mode
    return PlannedPrompt(
        prompt=Prompt(system=system, system_mode=mode, template=template, examples=examples),
        identity=content if config.name is None else {"name": config.name},
        record=PromptRecord(
            name=config.name,
            label=_label(plan) or f"prompt-{digest[:_DIGITS]}",
            system=system,
            system_mode=None if system is None else mode,
            template=template_text,
            few_shot=few_shot,
            digest=digest,
        ),
        files_in=files_in,
    )


def _text(key: str, given: str | None, file: Path | None) -> str | None:
    """A text of the config, without the newline at its end, which editors and YAML add."""
    if file is not None:
        given = _read(f"prompt.{key}_file", file)
    if given is None:
        return None
    text = given.rstrip("\r\n")
    if not text.strip():
        raise ConfigError(f"prompt.{key}: the text {f'in {file} ' if file else ''}is empty")
    return text


def _read(key: str, file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{key}: {file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{key}: {file} is not UTF-8 text; save it as UTF-8") from error


def _few_shot(
    config: FewShotConfig, template: Template | None
) -> tuple[Examples, FewShotRecord, Path | None]:
    try:
        source = locate(DatasetConfig(path=config.path))
    except DatasetError as error:
        raise DatasetError(f"prompt.few_shot.path: {error}") from error
    checked = check(source.reader, lambda sample: example_of(sample, template))
    samples = _with_whole_paths(read_checked(source.reader, checked), source.files_in)
    examples = choose((example_of(each, template) for each in samples), config.count, config.seed)
    if examples.available < config.count:
        raise ConfigError(
            f"prompt.few_shot.count is {config.count}, and {source.path} has only "
            f"{examples.available} examples with different questions"
        )
    record = FewShotRecord(
        path=str(source.path), sha256=checked.sha256, count=config.count, seed=config.seed
    )
    return examples, record, source.files_in


def _with_whole_paths(samples: Iterator[TestSample], folder: Path | None) -> Iterator[TestSample]:
    """The samples, whose files are named as they can be found from any other folder."""
    for sample in samples:
        if folder is not None:
            for found in file_references(sample.messages):
                path = local_path(folder, found.path).absolute()
                found.holder[found.key] = f"{SCHEME}{path}{MARK}{found.sha256}"
        yield sample


def _content(
    config: PromptConfig, system: str | None, template: str | None, few_shot: FewShotRecord | None
) -> dict[str, Any]:
    """What decides the messages, wherever it was read."""
    content: dict[str, Any] = {}
    if system is not None:
        content |= {"system": system, "system_mode": config.system_mode}
    if template is not None:
        content["template"] = template
    if few_shot is not None:
        content["few_shot"] = few_shot.model_dump(exclude={"path"}, exclude_none=True)
    return content


def _label(plan: RunPlan) -> str:
    """A short name for people; empty if nothing gives one."""
    config = plan.prompt
    files = (config.system_file, config.template_file)
    stems = "+".join(file.stem for file in files if file is not None)
    return config.name or plan.prompt_option or stems
