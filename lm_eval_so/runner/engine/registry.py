"""Engines by kind: ours, and those of installed packages."""

from importlib import import_module
from importlib.metadata import entry_points

from lm_eval_so.runner.config.messages import nearest
from lm_eval_so.runner.engine.base import Engine, EngineSetup
from lm_eval_so.runner.errors import ConfigError

ENTRY_POINT_GROUP = "lm_eval_so.engines"
_BUILT_IN = {"sync": ("sync", "SyncEngine"), "ray": ("ray.engine", "RayEngine")}
_BY_SHARDS = frozenset({"ray"})


def create_engine(kind: str, setup: EngineSetup) -> Engine:
    """The engine of ``engine.kind``; nothing is sent yet.

    Raises:
        ConfigError: No engine has this kind, or it cannot be loaded.
    """
    if kind not in _BUILT_IN:
        return _installed(kind, setup)
    module, name = _BUILT_IN[kind]
    try:
        engine: Engine = getattr(import_module(f"lm_eval_so.runner.engine.{module}"), name)(setup)
    except ModuleNotFoundError as error:
        if error.name != kind:
            raise
        raise ConfigError(
            f"engine={kind} needs an extra: pip install 'lm-eval-so[{kind}]'"
        ) from error
    return engine


def works_by_shards(kind: str) -> bool:
    """Whether an engine hands out whole shards, so that results are in parts."""
    return kind in _BY_SHARDS


def _installed(kind: str, setup: EngineSetup) -> Engine:
    points = entry_points(group=ENTRY_POINT_GROUP)
    if kind not in points.names:
        known = sorted({*_BUILT_IN, *points.names})
        hint = f"{nearest(kind, known)} (known: {', '.join(known)})"
        raise ConfigError(f"unknown engine {kind!r}{hint}")
    try:
        engine: Engine = points[kind].load()(setup)
    except (ImportError, AttributeError, TypeError) as error:
        raise ConfigError(f"engine {kind!r} of an installed package fails: {error}") from error
    return engine
