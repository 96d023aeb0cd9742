"""How a run keeps its results: in one file, in parts, or in parts that workers write."""

from lm_eval_so.runner.engine.registry import works_by_shards
from lm_eval_so.runner.run.prepare import Prepared
from lm_eval_so.runner.run.recorder import Recorder
from lm_eval_so.runner.run.results import Results
from lm_eval_so.runner.run.whole_file import WholeFile
from lm_eval_so.runner.store.parts import may_be_in_parts


def results_of(prepared: Prepared, recorder: Recorder) -> Results:
    """The results of a run; nothing is written yet.

    Raises:
        LmEvalError: What an earlier command has left cannot be read.
    """
    if works_by_shards(prepared.plan.engine.kind):
        from lm_eval_so.runner.run.by_workers import ByWorkers  # noqa: PLC0415 - of a cluster

        return ByWorkers(prepared, recorder)
    is_large = prepared.whole > prepared.plan.store.parts_above
    if is_large or may_be_in_parts(prepared.directory):
        from lm_eval_so.runner.run.in_parts import InParts  # noqa: PLC0415 - of large runs
        from lm_eval_so.runner.run.sharding import is_in_parts  # noqa: PLC0415 - likewise

        if is_in_parts(prepared):
            return InParts(prepared, recorder)
    return WholeFile(prepared, recorder)
