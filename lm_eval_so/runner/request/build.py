"""Makes the requests of a run: sample and config to a RunRequest, with its key and trace id."""

from collections.abc import Callable, Mapping
from copy import copy
from random import Random
from typing import Any, Protocol, Self

from lm_eval_so.runner.errors import DatasetError
from lm_eval_so.runner.models import Message, RunConfig, RunRequest, TestSample
from lm_eval_so.runner.request.key import RequestKeys
from lm_eval_so.runner.request.prompt import Prompt

_UNIQUE = Random()  # noqa: S311 - tells runs apart, and is no secret


class Asks(Protocol):
    """What is sent of a sample."""

    @property
    def messages(self) -> list[Message]:
        """Of the sample."""

    @property
    def parameters(self) -> dict[str, Any]:
        """Those of the sample alone."""


class RequestBuilder:
    """Makes requests of samples; what all of them share is made once.

    Args:
        config: The model and its parameters.
        endpoint: Where the backend's answers come from.
        defaults: Parameters that the backend sends where the config names none.
        repeats: Times that each sample is asked.
        trace_prefix: Begins each trace id.

    Attributes:
        configs: The config of each repeat.
    """

    def __init__(
        self,
        config: RunConfig,
        *,
        endpoint: str = "",
        defaults: Mapping[str, Any] | None = None,
        repeats: int = 1,
        trace_prefix: str = "run",
    ) -> None:
        self.configs = configs_of_repeats(config, repeats)
        self._keys = [
            RequestKeys(config, endpoint, defaults, repeat)
            for repeat, config in enumerate(self.configs)
        ]
        self._prefix = trace_prefix
        self._sent_of: Callable[[TestSample], Mapping[str, Any]] | None = None
        self._prompt: Prompt | None = None
        self._last: tuple[TestSample, list[Message]] | None = None

    def with_prompt(self, prompt: Prompt) -> Self:
        """The same builder, whose requests have what the prompt makes of a sample's messages."""
        prompted = copy(self)
        prompted._prompt, prompted._last = prompt, None  # noqa: SLF001 - its own
        return prompted

    def with_parts(self, sent_of: Callable[[TestSample], Mapping[str, Any]] | None) -> Self:
        """The same builder, for a backend that sends more of a sample; that is a part of its key.

        Args:
            sent_of: What is sent beside its messages and parameters; None for nothing.
        """
        more = copy(self)
        more._sent_of = sent_of  # noqa: SLF001 - its own
        return more

    @property
    def repeats(self) -> int:
        """Times that each sample is asked."""
        return len(self.configs)

    @property
    def needs_whole_samples(self) -> bool:
        """Whether what is sent is made of more than the messages and parameters of a sample."""
        return self._prompt is not None or self._sent_of is not None

    def key(self, sample: Asks, repeat: int = 0) -> str:
        """The request key of a sample: SHA-256 of what is sent, in hex.

        Args:
            sample: A `TestSample`, where whole samples are needed.
            repeat: From 0.
        """
        parameters = sample.parameters
        if self._sent_of is not None:
            assert isinstance(sample, TestSample)  # noqa: S101 - as told above
            if more := self._sent_of(sample):
                parameters = {**parameters, "sample": more}
        return self._keys[repeat].key(self._messages(sample), parameters)

    def build(self, sample: TestSample, index: int, repeat: int, key: str) -> RunRequest:
        """The request of a sample.

        Args:
            sample: The sample.
            index: The request's place among those of the run, from 0.
            repeat: From 0.
            key: What `key` gave.
        """
        return RunRequest(
            sample,
            index,
            self.configs[repeat],
            key,
            new_trace_id(self._prefix, sample.id, repeat if self.repeats > 1 else None),
            self._messages(sample),
            sample.parameters,
            repeat,
        )

    def _messages(self, sample: Asks) -> list[Message]:
        """What is sent; made once for the key of a sample, its requests and its repeats.

        Raises:
            DatasetError: The prompt does not fit the sample.
        """
        if self._prompt is None:
            return sample.messages
        assert isinstance(sample, TestSample)  # noqa: S101 - see `key`
        if self._last is None or self._last[0] is not sample:
            try:
                self._last = sample, self._prompt.messages(sample)
            except ValueError as error:  # of a dataset that no check has passed
                raise DatasetError(f"sample {sample.id!r}: {error}") from error
        return self._last[1]


def configs_of_repeats(config: RunConfig, repeats: int) -> list[RunConfig]:
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
