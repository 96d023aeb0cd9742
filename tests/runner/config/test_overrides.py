from __future__ import annotations

import pytest

from lm_eval_so.runner.config.overrides import as_typed


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("model=1e3", "model='1e3'"),
        ("model=1_0", "model='1_0'"),
        ("model=007", "model='007'"),
        ("model=nan", "model='nan'"),
        ("model=True", "model='True'"),
        ("+variant=0.50", "+variant='0.50'"),
        ("++sweep_name=1", "++sweep_name='1'"),
        ("output_dir=2024_06_01", "output_dir='2024_06_01'"),
        ("output_root=~/runs", "output_root='~/runs'"),
        ("dataset.path=~", "dataset.path='~'"),
        ("tracking.run_name=1e3", "tracking.run_name='1e3'"),
        ("runner.trace_prefix=1e3", "runner.trace_prefix='1e3'"),
        ("backend.options.project=1_0", "backend.options.project='1_0'"),
        ("model=1e3,gpt-4o, 2e3", "model='1e3',gpt-4o,'2e3'"),
    ],
)
def test_a_value_of_a_text_key_is_kept_as_typed(typed: str, kept: str) -> None:
    assert as_typed(typed) == kept


@pytest.mark.parametrize(
    "typed",
    [
        *("model=gpt-4o", "model=org/name:v1", "model=null", "model=", "model='1e3'"),
        *("model=[1,2]", "model=choice(1,2)", "variant=${runner.timeout}", "model=a=b"),
        *("runner.timeout=1e3", "params.seed=1_0", "metadata.note=1e3", "repeats=2"),
        *("backend=openai", "~model", "tracking.tags.team=1", "runner.max_concurrency=auto"),
    ],
)
def test_everything_else_is_left_to_hydra(typed: str) -> None:
    assert as_typed(typed) == typed
