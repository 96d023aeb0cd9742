"""``python -m lm_eval_so.report.export`` is ``lm-eval-so export``."""

import sys

from lm_eval_so.report.export.cli import main
from lm_eval_so.runner.host.output import keep_output

keep_output()
sys.exit(main())
