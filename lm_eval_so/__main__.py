"""``python -m lm_eval_so`` is ``lm-eval-so``."""

from lm_eval_so.runner.hydra_app.app import script

script()
