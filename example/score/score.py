"""Score a finished run: ``python example/score/score.py outputs/capitals``.

The embedded model answers, without a key or a network::

    lm-eval-so dataset=path dataset.path=example/score/dataset/capitals_v1 \
        params.temperature=0 params.max_tokens=40 output_dir=outputs/capitals
"""

import re
import sys
from collections import Counter

from lm_eval_so import RunReport, RunResult


def is_right(result: RunResult) -> bool:
    """Whether the answer has the expected word. One that failed or was cut off has not."""
    response, expected = result.response, result.request_context.expected
    if response is None or response.finish_reason == "length":
        return False
    return re.search(rf"\b{re.escape(expected)}\b", response.text, re.IGNORECASE) is not None


def main(run_dir: str) -> None:
    """Prints the accuracy of the whole dataset, and of each tag."""
    report = RunReport.load(run_dir)
    if report.summary is None:
        sys.exit(f"{run_dir} has not ended; the same lm-eval-so command resumes it")
    right: Counter[str] = Counter()
    for result in report.results():
        right.update({"", *result.request_context.sample_tags} if is_right(result) else ())

    # All that was asked, not all that was answered: what fails more often would look better.
    total = report.summary.total
    print(f"{right['']} of {total} are right ({right[''] / total:.0%})")
    for tag, samples in report.summary.by_tag.items():
        print(f"  {tag}: {right[tag]} of {samples.n}")
    print(f"{report.summary.failed} failed, {report.summary.truncated} were cut off: wrong here")
    print(f"the run is {report.verdict}")


if __name__ == "__main__":
    main(*sys.argv[1:])
