"""Inspect: ``input`` is a text or a list of messages, ``target`` is what is expected.

``choices``, ``files``, ``setup`` and ``sandbox`` are kept as metadata: a prompt may use them.
"""

from lm_eval_so.runner.dataset.layouts.base import Layout
from lm_eval_so.runner.dataset.layouts.openai_evals import convert

LAYOUT = Layout(
    {"id": "id", "input": "input", "expected": "target", "metadata": "metadata"}, convert
)
