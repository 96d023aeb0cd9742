"""Score the traces of a run: ``python example/score/score_mlflow.py outputs/capitals``.

It needs pandas, and a run whose traces MLflow has::

    lm-eval-so dataset=path dataset.path=example/score/dataset/capitals_v1 \
        params.temperature=0 params.max_tokens=40 output_dir=outputs/capitals \
        tracking=mlflow tracking.traces=true
"""

import json
import re
import sys
from typing import Any

import mlflow
from mlflow.genai.scorers import scorer

from lm_eval_so import RunReport


@scorer  # type: ignore[untyped-decorator]
def is_right(outputs: dict[str, Any], expectations: dict[str, Any]) -> bool:
    """Whether the answer has the expected word. One that failed or was cut off has not."""
    choice = outputs.get("choices", [None])[0]
    if choice is None or choice["finish_reason"] == "length":
        return False
    expected = re.escape(expectations["expected_response"])
    return re.search(rf"\b{expected}\b", choice["message"]["content"], re.IGNORECASE) is not None


def main(run_dir: str) -> None:
    """Scores every trace; the scores stand in MLflow, beside the traces and the run's metrics."""
    report = RunReport.load(run_dir)
    ((run_id, place),) = json.loads((report.run_dir / "mlflow.json").read_text())["runs"].items()
    mlflow.set_tracking_uri(place["uri"])
    found = mlflow.search_traces(
        locations=[place["experiment_id"]], run_id=run_id, return_type="list"
    )
    traces = [trace for trace in found if "lm_eval_so.trace_id" in trace.info.tags]
    if report.summary is None or len(traces) != report.summary.total:
        sys.exit(f"MLflow has {len(traces)} traces of {run_dir}, which are not all of its samples")

    with mlflow.start_run(run_id=run_id):
        scores = mlflow.genai.evaluate(data=traces, scorers=[is_right])
    print(f"{scores.metrics['is_right/mean']:.0%} of {len(traces)} are right")


if __name__ == "__main__":
    main(*sys.argv[1:])
