"""A Ray cluster is begun or found, and left."""

import logging
import os
import socket
import warnings

import ray

from lm_eval_so.runner.config.schema import EngineConfig
from lm_eval_so.runner.errors import ConfigError

_ANSWERED_IN_S = 5.0
_NO_STATISTICS = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}


def connect(config: EngineConfig) -> None:
    """Begins a cluster on this machine, or joins the one at the address.

    It sends no usage statistics, opens no dashboard, and leaves the terminal alone. Ray's own
    token authentication stays as it is: on.

    Raises:
        ConfigError: There is no cluster at the address, or this machine cannot have one.
    """
    if config.address is not None:
        _check_answered(config.address)
    for name, value in _NO_STATISTICS.items():
        os.environ.setdefault(name, value)
    own = {"num_cpus": config.workers} if config.address is None and config.workers else {}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            ray.init(
                address=config.address or "local",
                include_dashboard=False if config.address is None else None,
                log_to_driver=False,
                logging_level=logging.ERROR,
                **own,
            )
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        raise ConfigError(f"engine.address={config.address}: {error}") from error


def _check_answered(address: str) -> None:
    """Ray itself tries an address for longer than a minute, and tells of it in many lines."""
    host, colon, port = address.rpartition(":")
    if "/" in address or not colon or not port.isdecimal():
        return  # auto, or a scheme of Ray's
    try:
        socket.create_connection((host.strip("[]"), int(port)), _ANSWERED_IN_S).close()
    except (OSError, OverflowError) as error:
        raise ConfigError(
            f"engine.address={address}: nobody answers there ({error}); "
            "`ray start --head` begins a cluster and tells its address"
        ) from error


def disconnect() -> None:
    """Leaves the cluster; one that `connect` has begun ends."""
    ray.shutdown()


def worker_count(config: EngineConfig) -> int:
    """Workers: as configured, else one for each CPU of the cluster."""
    return config.workers or max(1, int(ray.cluster_resources().get("CPU", 1)))
