"""``python -m lm_eval_so.report`` is ``lm-eval-so report``."""

import sys

from lm_eval_so.report.cli import report
from lm_eval_so.runner.host.output import keep_output

keep_output()
sys.exit(report(sys.argv[1:]))
