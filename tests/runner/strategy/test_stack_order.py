"""The order of the strategies, as the docstring of the stack gives it and for its reasons."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from lm_eval_so.runner.config.schema import RunnerOptions
from lm_eval_so.runner.models import ChatResponse, RunRequest
from lm_eval_so.runner.strategy import stack as stack_module
from lm_eval_so.runner.strategy.stack import Stack
from support.backends import Sends

FOLDER = Path(stack_module.__file__).parent


async def answers(_: RunRequest) -> ChatResponse:
    return ChatResponse(text="")


def names_in_the_code() -> list[str]:
    """How the list of strategies names each of them, innermost first."""
    tree = ast.parse(Path(stack_module.__file__).read_text())
    (assigned,) = (
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "self.strategies"
    )
    assert isinstance(assigned, ast.List)
    return [
        ast.unparse(one.func if isinstance(one, ast.Call) else one).removeprefix("self.")
        for one in assigned.elts
    ]


def names_in_the_docstring() -> list[str]:
    return re.findall(r"^- ``([\w.]+)``: ", stack_module.__doc__ or "", re.MULTILINE)


def test_the_docstring_lists_the_strategies_in_their_order() -> None:
    assert names_in_the_docstring() == names_in_the_code()


def test_each_place_of_the_list_has_one_strategy_of_the_one_shape() -> None:
    stack = Stack(Sends(answers), RunnerOptions(), stopping=lambda: False, give_up=lambda _: None)
    assert len(stack.strategies) == len(names_in_the_code())
    for strategy in stack.strategies:
        assert callable(strategy.wrap(answers))


WAITS = ["start_rate", "RateLimit", "budget", "Concurrency", "outage", "evidence", "Retry"]


@pytest.mark.parametrize(
    ("inner", "outer"),
    [
        *(pytest.param("Timeout", wait, id=f"no-timeout-during-{wait}") for wait in WAITS),
        *(pytest.param("spending", wait, id=f"counted-after-{wait}") for wait in WAITS),
        *(pytest.param("outage.watch", wait, id=f"watched-after-{wait}") for wait in WAITS),
        *(pytest.param("breaker.gate", wait, id=f"last-look-after-{wait}") for wait in WAITS),
        pytest.param("FaultBoundary", "Timeout", id="faults-first"),
        pytest.param("outage.gate", "start_rate", id="gate-after-the-wait-for-a-start"),
        pytest.param("start_rate", "RateLimit", id="a-start-is-the-last-thing-to-wait-for"),
        pytest.param("RateLimit", "budget", id="no-start-without-budget"),
        pytest.param("budget", "Concurrency", id="the-slot-holds-for-all-waits"),
        pytest.param("Concurrency", "outage", id="no-slot-during-an-outage"),
        pytest.param("outage", "evidence", id="an-outage-is-no-evidence"),
        pytest.param("evidence", "Retry", id="evidence-before-retries"),
        pytest.param("Retry", "evidence.under_way", id="back-off-is-under-way"),
    ],
)
def test_each_strategy_stands_where_its_reason_says(inner: str, outer: str) -> None:
    names = names_in_the_code()
    assert names.index(inner) < names.index(outer)


def test_the_gate_of_an_outage_stands_below_each_wait_in_the_slot() -> None:
    names = names_in_the_code()
    gates = [at for at, name in enumerate(names) if name == "outage.gate"]
    assert [names[at + 1] for at in gates] == ["start_rate", "Concurrency"]


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("*.py")), ids=lambda path: path.stem)
def test_no_strategy_reads_a_clock_or_sleeps_but_through_its_arguments(path: Path) -> None:
    """`time.monotonic` and `asyncio.sleep` are defaults of parameters, and called nowhere."""
    tree = ast.parse(path.read_text())
    called = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert not {name for name in called if name.startswith("time.") or name == "asyncio.sleep"}
