"""What Python pipelines import: ``from lm_eval_so.utils import PipelineContext``."""

from lm_eval_so.utils.pipeline import PipelineContext

__all__ = ["PipelineContext"]
