"""Makes requests of samples: their key, their trace id, and the config of each repeat."""

from random import Random

from lm_eval_so.runner.models import RunConfig

_UNIQUE = Random()  # noqa: S311 - tells runs apart, and is no secret


def repeated(config: RunConfig, repeats: int) -> list[RunConfig]:
    """The config of each repeat: the same, but for a seed, which is counted up."""
    seed = config.parameters.get("seed")
    if not isinstance(seed, int):
        return [config] * repeats
    return [
        config.model_copy(update={"parameters": {**config.parameters, "seed": seed + repeat}})
        if repeat
        else config
        for repeat in range(repeats)
    ]


def new_trace_id(prefix: str, sample_id: str, repeat: int | None = None) -> str:
    """``<prefix>-<sample id>-<8 hex>``, new each time; ``...-r<repeat>-<8 hex>`` of repeats."""
    asked = sample_id if repeat is None else f"{sample_id}-r{repeat}"
    return f"{prefix}-{asked}-{_UNIQUE.getrandbits(32):08x}"
