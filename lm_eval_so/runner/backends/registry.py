"""Backends by kind: ours, and those of installed packages."""

from importlib import import_module
from importlib.metadata import entry_points

from lm_eval_so.runner.backends.base import ChatBackend
from lm_eval_so.runner.config.messages import nearest
from lm_eval_so.runner.errors import ConfigError
from lm_eval_so.runner.models import RunConfig

ENTRY_POINT_GROUP = "lm_eval_so.backends"
_BUILT_IN = {
    "anthropic": ("anthropic.backend", "AnthropicBackend"),
    "command": ("command.backend", "CommandBackend"),
    "http": ("http_api.backend", "HttpBackend"),
    "local": ("local.backend", "LocalBackend"),
    "openai": ("openai.backend", "OpenAIBackend"),
    "python": ("python.backend", "PythonBackend"),
    "simulated": ("simulated", "SimulatedBackend"),
}


def create_backend(config: RunConfig) -> ChatBackend:
    """The backend of the config's kind, not opened yet.

    Raises:
        ConfigError: No backend has this kind, or an option is wrong.
        BackendSetupError: The backend lacks a key, a package or a file.
    """
    return _backend_class(config.backend)(config)


def known_kinds() -> list[str]:
    """Every kind there is, sorted."""
    return sorted({*_BUILT_IN, *entry_points(group=ENTRY_POINT_GROUP).names})


def _backend_class(kind: str) -> type[ChatBackend]:
    if kind in _BUILT_IN:
        module, name = _BUILT_IN[kind]
        found = getattr(import_module(f"lm_eval_so.runner.backends.{module}"), name)
    else:
        found = _installed(kind)
    if not (isinstance(found, type) and issubclass(found, ChatBackend)):
        raise ConfigError(f"backend {kind!r} is {found!r}, which is no subclass of ChatBackend")
    return found


def _installed(kind: str) -> object:
    points = entry_points(group=ENTRY_POINT_GROUP)
    if kind in points.names:
        try:
            return points[kind].load()
        except (ImportError, AttributeError) as error:
            raise ConfigError(
                f"backend {kind!r} of an installed package cannot be loaded: {error}"
            ) from error
    known = known_kinds()
    raise ConfigError(f"unknown backend {kind!r}{nearest(kind, known)} (known: {', '.join(known)})")
