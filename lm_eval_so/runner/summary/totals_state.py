"""Totals as JSON data: what stands in it, and that it does."""

from typing import Any, TypedDict

import msgspec

from lm_eval_so.runner.summary.agreement import AgreementState
from lm_eval_so.runner.summary.answers import AnswersState
from lm_eval_so.runner.summary.by_replica import ReplicaState
from lm_eval_so.runner.summary.by_tag import TagState
from lm_eval_so.runner.summary.counts import Counted, Number, Parts
from lm_eval_so.runner.summary.failures import FailuresState
from lm_eval_so.runner.summary.histogram import HistogramState
from lm_eval_so.runner.summary.served import NamesState
from lm_eval_so.runner.summary.strata import StrataState

VERSION = 1
"""It grows with every change of what stands in a state: the lines can always be counted again."""


class TotalsState(TypedDict):
    """`Totals` as JSON data.

    Attributes:
        position: Of the sample that comes next.
        cost: In units of 1e-12 US dollars.
    """

    version: int
    begins_at: Number
    position: Number
    settled: Number
    attempts: int
    rate_limited: Number
    cost: Parts | None
    statuses: Counted
    tokens: dict[str, int]
    failures: FailuresState
    answers: AnswersState
    missing: StrataState
    by_tag: dict[str, TagState]
    by_replica: dict[str, ReplicaState]
    models: NamesState
    system_fingerprints: NamesState
    agreement: AgreementState
    latencies: HistogramState
    first_tokens: HistogramState
    first_answer_tokens: HistogramState


def checked_state(state: Any) -> TotalsState:  # noqa: ANN401 - JSON
    """A state whose version and types are right.

    Raises:
        ValueError: It is none.
    """
    version = state.get("version") if isinstance(state, dict) else None
    if version is not None and version != VERSION:
        raise ValueError(f"these totals have version {version!r}; this release reads {VERSION}")
    try:
        return msgspec.convert(state, TotalsState)
    except msgspec.ValidationError as error:
        raise ValueError(f"these are no totals of result lines: {error}") from error
