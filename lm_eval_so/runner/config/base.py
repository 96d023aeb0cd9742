"""What all groups of the config are made of."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict

from lm_eval_so.runner.text.wording import Told


def at_home(path: Path) -> Path:
    """The path, with ``~`` as the home directory."""
    try:
        return path.expanduser()
    except RuntimeError:  # no such user: the path stays unchanged, as in a shell
        return path


UserPath = Annotated[Path, AfterValidator(at_home)]
"""A path as a person types it: ``~`` is the home directory."""


class Config(BaseModel, metaclass=Told):
    """A frozen group of the config; an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True)
