from __future__ import annotations

from pathlib import Path

import pytest

from lm_eval_so.merge.way_on import finishing

TO = Path("whole")


@pytest.mark.parametrize(
    ("command", "dropped", "dataset", "expected"),
    [
        pytest.param(None, ["select"], None, None, id="from-python"),
        pytest.param(
            "lm-eval-so model=m select.shard=1/4 select.tags=ko output_dir=parts/1",
            ["select.shard"],
            None,
            "lm-eval-so model=m select.tags=ko output_dir=whole",
            id="shards-of-a-part",
        ),
        pytest.param(
            "lm-eval-so 'prompt.system=output_dir=x' ++select.limit=5 +output_dir=a params.seed=1",
            ["select"],
            None,
            "lm-eval-so prompt.system=output_dir=x params.seed=1 output_dir=whole",
            id="whole",
        ),
        pytest.param(
            "lm-eval-so dataset=path dataset.path=old selected=1",
            ["select"],
            Path("new place"),
            "lm-eval-so dataset=path selected=1 'dataset.path=new place' output_dir=whole",
            id="moved",
        ),
        pytest.param(
            "lm-eval-runner --dataset old --limit 5 --model m --sample=3 --output-dir a",
            ["select"],
            Path("new"),
            "lm-eval-runner --model m --dataset new --output-dir whole",
            id="flags",
        ),
    ],
)
def test_the_command_for_the_whole_is_that_of_a_part_without_what_made_it_one(
    command: str | None, dropped: list[str], dataset: Path | None, expected: str | None
) -> None:
    assert finishing(command, TO, dropped, dataset) == expected
