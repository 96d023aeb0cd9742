"""The group ``engine``: who drives the requests."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from lm_eval_so.runner.config.base import Config


class EngineConfig(Config):
    """Who drives the requests.

    Attributes:
        kind: ``sync``, ``ray``, or the name of an installed package's engine.
        address: Of a Ray cluster, or ``auto``; None begins one on this machine.
        workers: Of a cluster; None for one on each CPU.
        worker_timeout: Seconds that a worker may be silent until others do its work.
    """

    kind: Annotated[str, Field(min_length=1)] = "sync"
    address: Annotated[str, Field(min_length=1)] | None = None
    workers: Annotated[int, Field(ge=1)] | None = None
    worker_timeout: Annotated[float, Field(ge=5, le=3600, allow_inf_nan=False)] = 30.0

    @model_validator(mode="after")
    def _has_workers(self) -> Self:
        if self.kind == "sync" and (self.address or self.workers):
            raise ValueError("address and workers are of a cluster: engine=ray")
        return self
