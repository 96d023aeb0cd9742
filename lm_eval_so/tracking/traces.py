"""One trace of MLflow's for each sample, made of the lines of the results file."""

import hashlib
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from lm_eval_so.tracking.client import TrackingClient
from lm_eval_so.tracking.live import Lines
from lm_eval_so.tracking.names import sanitise_name
from lm_eval_so.tracking.trace_content import (
    Result,
    attributes_of,
    expectations_of,
    inputs_of,
    outputs_of,
)

TRACE_TAG = "lm_eval_so.trace_id"
_PAGE = 500  # traces, the most that MLflow lists at once
_DELETED_AT_ONCE = 100
_PROBED_EVERY = 20  # traces; MLflow itself only logs a warning when one is lost


class Traces:
    """Follows a results file, and keeps one trace for each of its samples: a SampleTracker.

    Raises TrackingError as the client.

    Args:
        share: Of the samples that have a trace; the same ones each time.
        resumed: Whether there may be traces of an earlier command.
    """

    def __init__(  # noqa: PLR0913 - each is needed, and none is a part of another
        self,
        client: TrackingClient,
        experiment_id: str,
        run_id: str,
        lines: Lines,
        share: float,
        *,
        resumed: bool,
    ) -> None:
        self._client = client
        self._experiment_id = experiment_id
        self._run_id = run_id
        self._lines = lines
        self._share = share
        self._logged = set(self._there()) if resumed else set[str]()
        self._missing = 0

    def follow(self, until: float) -> None:
        """Traces what the file has gained, until a moment of the monotonic clock."""
        logged = 0
        for result in self._new():
            if result["trace_id"] in self._logged:
                continue
            if logged % _PROBED_EVERY == 0:
                self._client.probe()
            with self._client.translated():
                self._trace(result)
            logged += 1
            self._logged.add(result["trace_id"])
            self._missing = max(0, self._missing - 1)
            if time.monotonic() > until:
                return

    def finish(self, until: float) -> None:
        """The file is final: traces the rest, and takes back what it does not hold any more."""
        wanted = self.count()
        self._lines.restart()
        self.follow(until)
        there = self._there()
        self._missing = len(wanted - there.keys())
        gone = [trace for trace_id, trace in there.items() if trace_id not in wanted]
        with self._client.translated():
            for start in range(0, len(gone), _DELETED_AT_ONCE):
                some = gone[start : start + _DELETED_AT_ONCE]
                self._client.raw.delete_traces(self._experiment_id, trace_ids=some)

    def count(self) -> set[str]:
        """Our ids of all traces that there must be; from then on `missing` is true."""
        self._lines.restart()
        wanted = {result["trace_id"] for result in self._new()}
        self._missing = len(wanted - self._logged)
        return wanted

    def missing(self) -> list[str]:
        """How many traces MLflow lacks, in a few words."""
        return [f"traces ({self._missing})"] if self._missing else []

    def _new(self) -> Iterator[Result]:
        for result in self._lines.new():
            if sampling_hash(f"{result['sample_id']} {result['repeat']}") < self._share:
                yield result

    def _there(self) -> dict[str, str]:
        """Our traces of the run: MLflow's id of each, by ours. There may be others."""
        found: dict[str, str] = {}
        token: str | None = ""
        while token is not None:
            with self._client.translated():
                page = self._client.raw.search_traces(
                    locations=[self._experiment_id],
                    run_id=self._run_id,
                    include_spans=False,
                    max_results=_PAGE,
                    page_token=token or None,
                )
            infos = [trace.info for trace in page if TRACE_TAG in trace.info.tags]
            found |= {info.tags[TRACE_TAG]: info.trace_id for info in infos}
            token = page.token or None
        return found

    def _trace(self, result: Result) -> None:
        import mlflow  # noqa: PLC0415 - seconds, and seldom needed

        mlflow.set_tracking_uri(self._client.uri)  # its exporter knows no other way
        client = self._client.raw
        begin, end = (datetime.fromisoformat(result[key]) for key in ("started_at", "completed_at"))
        tags = result["request_context"]["sample_tags"]
        root = client.start_trace(
            result["sample_id"],
            span_type="CHAT_MODEL",
            inputs=inputs_of(result),
            attributes=attributes_of(result),
            tags={
                TRACE_TAG: result["trace_id"],
                "lm_eval_so.sample_id": result["sample_id"],
                "lm_eval_so.status": result["status"],
                **{f"lm_eval_so.tag.{tag}": "true" for tag in tags},
            },
            experiment_id=self._experiment_id,
            start_time_ns=_ns(begin),
            run_id=self._run_id,
        )
        for number, attempt in enumerate(_attempts(result, begin), start=1):
            self._span(root.trace_id, root.span_id, f"attempt {number}", attempt)
        _expect(root.trace_id, expectations_of(result))
        client.end_trace(
            root.trace_id,
            outputs=outputs_of(result),
            status="OK" if result["error"] is None else "ERROR",
            end_time_ns=_ns(end),
        )

    def _span(self, trace_id: str, parent_id: str, name: str, attempt: Result) -> None:
        client = self._client.raw
        begin = attempt["started_at"]
        span = client.start_span(
            name,
            trace_id,
            parent_id,
            attributes={key: attempt[key] for key in ("status_code", "waited_ms", "error_type")},
            start_time_ns=_ns(begin),
        )
        client.end_span(
            trace_id,
            span.span_id,
            status="OK" if attempt["error_type"] is None else "ERROR",
            end_time_ns=_ns(begin + timedelta(milliseconds=attempt["latency_ms"] or 0)),
        )


def sampling_hash(name: str) -> float:
    """A number from 0 up to 1 that is always the same for a name."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) / 2**64


def _expect(trace_id: str, expectations: dict[str, Any]) -> None:
    """Gives expectations to a trace that has not ended, so that both are stored by one call.

    `mlflow.log_expectation` takes a call for each, and a kill before it would leave a trace without
    them that no later command mends. The ids make a call that is sent twice store them once.
    """
    from mlflow.entities import Expectation  # noqa: PLC0415 - seconds, and seldom needed
    from mlflow.tracing.trace_manager import InMemoryTraceManager  # noqa: PLC0415 - as above

    with InMemoryTraceManager.get_instance().get_trace(trace_id) as trace:  # type: ignore[no-untyped-call]
        if trace is None:  # the environment turns tracing off
            return
        for key, value in expectations.items():
            taken = {assessment.name for assessment in trace.info.assessments}
            expectation = Expectation(sanitise_name(key, taken), value)
            digest = hashlib.sha256(f"{trace_id} {key}".encode()).hexdigest()
            expectation.assessment_id = f"a-{digest[:32]}"
            trace.info.assessments.append(expectation)


def _attempts(result: Result, begin: datetime) -> Iterator[Result]:
    """Every attempt that left; a sample that took only one has no log of it."""
    response, error = result["response"] or {}, result["error"] or {}
    only = {
        "started_at": begin.isoformat(),
        "latency_ms": result["latency_ms"],
        "waited_ms": {},
        "status_code": response.get("status_code", error.get("status_code")),
        "error_type": error.get("error_type"),
    }
    for attempt in result.get("attempt_log") or [only]:
        if attempt["started_at"] is not None:
            yield {**attempt, "started_at": datetime.fromisoformat(attempt["started_at"])}


def _ns(moment: datetime) -> int:
    return int(moment.timestamp() * 1e6) * 1000
