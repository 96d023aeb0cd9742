"""Engines by kind: ours, and those of installed packages."""

from importlib import import_module
from importlib.metadata import entry_points

from lm_eval_so.runner.config.messages import nearest
from lm_eval_so.runner.engine.base import Engine, EngineSetup
from lm_eval_so.runner.errors import ConfigError

ENTRY_POINT_GROUP = "lm_eval_so.engines"
_BUILT_IN = {"sync": ("sync", "SyncEngine")}


def create_engine(kind: str, setup: EngineSetup) -> Engine:
    """The engine of ``engine.kind``; nothing is sent yet.

    Raises:
        ConfigError: No engine has this kind, or it cannot be loaded.
    """
    if kind in _BUILT_IN:
        module, name = _BUILT_IN[kind]
        found = getattr(import_module(f"lm_eval_so.runner.engine.{module}"), name)
    else:
        found = _installed(kind)
    try:
        engine: Engine = found(setup)
    except TypeError as error:
        raise ConfigError(f"engine {kind!r} cannot be made of an EngineSetup: {error}") from error
    return engine


def _installed(kind: str) -> type:
    points = entry_points(group=ENTRY_POINT_GROUP)
    if kind in points.names:
        try:
            found: type = points[kind].load()
        except (ImportError, AttributeError) as error:
            raise ConfigError(
                f"engine {kind!r} of an installed package cannot be loaded: {error}"
            ) from error
        return found
    known = sorted({*_BUILT_IN, *points.names})
    raise ConfigError(f"unknown engine {kind!r}{nearest(kind, known)} (known: {', '.join(known)})")
