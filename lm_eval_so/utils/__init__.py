"""What Python pipelines import: ``from lm_eval_so.utils import PipelineContext``."""

from lm_eval_so.pipeline.context import PipelineContext

__all__ = ["PipelineContext"]
