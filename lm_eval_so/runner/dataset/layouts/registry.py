"""The layouts, by the names in the config."""

from lm_eval_so.runner.config import schema
from lm_eval_so.runner.dataset.layouts import (
    alpaca,
    inspect_ai,
    openai_evals,
    openai_finetune,
    promptfoo_csv,
    sharegpt,
)
from lm_eval_so.runner.dataset.layouts.base import Layout

LAYOUTS: dict[schema.Layout, Layout] = {
    "openai_finetune": openai_finetune.LAYOUT,
    "sharegpt": sharegpt.LAYOUT,
    "alpaca": alpaca.LAYOUT,
    "openai_evals": openai_evals.LAYOUT,
    "promptfoo_csv": promptfoo_csv.LAYOUT,
    "inspect": inspect_ai.LAYOUT,
}
