"""``python -m lm_eval_so.merge`` is ``lm-eval-so merge``."""

import sys

from lm_eval_so.merge.cli import main
from lm_eval_so.runner.host.output import keep_output

keep_output()
sys.exit(main())
