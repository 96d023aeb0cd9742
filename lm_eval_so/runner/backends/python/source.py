"""Finds what ``bot.py:answer`` names, and what the code behind it is."""

from __future__ import annotations

import hashlib
import importlib
import os
import sys
import traceback
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Never

from lm_eval_so.runner.errors import BackendSetupError
from lm_eval_so.runner.text.exception_text import exception_text
from lm_eval_so.runner.text.one_line import one_line
from lm_eval_so.runner.text.wording import nearest

if TYPE_CHECKING:
    from types import ModuleType

_OPTION = "backend.options.callable"
_DIGITS = 16  # of the digest that are kept
_LONGEST_REASON = 500  # characters


@dataclass(frozen=True, slots=True)
class Source:
    """A callable of the user's.

    Attributes:
        found: A function, a class, or another object that can be called.
        name: File or module and name, without the folder: ``bot.py:answer``.
        digest: Of the file's content, 16 hex digits; empty where there is no file.
    """

    found: Any
    name: str
    digest: str


def find_callable(reference: str) -> Source:
    """Loads the file or the module.

    Raises:
        BackendSetupError: It is not there, or breaks while it is loaded; or it has no such name,
            or what has the name cannot be called.
    """
    where, _, name = reference.rpartition(":")
    path = Path(where).expanduser()
    is_file = path.suffix == ".py" or os.path.isfile(path)  # noqa: PTH113 - never an OSError
    module = _load_file(path) if is_file else _load_module(where)
    try:
        found = attrgetter(name)(module)
    except AttributeError:
        hint = nearest(name, [known for known in vars(module) if not known.startswith("_")])
        raise BackendSetupError(f"{_OPTION}: {where} has no {name!r}{hint}") from None
    if not callable(found):
        raise BackendSetupError(f"{_OPTION}: {reference} is {found!r}, which cannot be called")
    shown = path.name if is_file else where
    return Source(found, f"{shown}:{name}", _digest(getattr(module, "__file__", None)))


class _Compiler(SourceFileLoader):
    """Compiles what is there now.

    Bytecode that Python keeps counts as that of a file of the same size and second; a run would
    tell of an edited file, and ask the one of before.
    """

    def path_stats(self, path: str) -> Never:  # noqa: ARG002 - the base's
        raise OSError("bytecode is neither read nor kept")


def _load_file(path: Path) -> ModuleType:
    path = path.absolute()
    if not os.path.isfile(path):  # noqa: PTH113 - as above
        raise BackendSetupError(f"{_OPTION}: there is no file {path}")
    _look_in(path.parent)
    content = path.read_bytes()
    # By its place and content: each file is loaded once, and again where it was edited.
    name = f"{path.stem}_{hashlib.sha256(str(path).encode() + content).hexdigest()[:_DIGITS]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise BackendSetupError(f"{_OPTION}: {path} is no Python file; its name must end in .py")
    if isinstance(spec.loader, SourceFileLoader):
        spec.loader = _Compiler(name, str(path))
    module = module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look their module up
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise _not_loaded(path.name, error) from error
    return module


def _load_module(name: str) -> ModuleType:
    _look_in(Path.cwd())
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise _not_loaded(name, error) from error
        raise BackendSetupError(
            f"{_OPTION}: there is no module {name!r}, installed or in {Path.cwd()}; "
            "a file is named with its .py"
        ) from error
    except (Exception, SystemExit) as error:
        raise _not_loaded(name, error) from error


def _look_in(folder: Path) -> None:
    """Takes imports from there first, as ``python bot.py`` does."""
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def _not_loaded(name: str, error: BaseException) -> BackendSetupError:
    where = traceback.extract_tb(error.__traceback__)[-1]
    reason = one_line(exception_text(error), _LONGEST_REASON)
    return BackendSetupError(
        f"{_OPTION}: {name} cannot be loaded: {reason} ({where.filename}:{where.lineno})"
    )


def _digest(file: str | None) -> str:
    if file is None or not Path(file).is_file():
        return ""
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()[:_DIGITS]
