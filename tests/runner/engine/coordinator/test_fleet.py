"""A thousand workers, twenty million samples, in virtual time: the whole takes some ten seconds."""

from __future__ import annotations

import pytest

from support.fleet import Case, Fleet


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(Case(1000, 20_000_000, head_dies_at=(0.3, 0.7)), id="largest"),
        pytest.param(Case(50, 500_000, deaths_an_hour=2.0, head_dies_at=(0.5, 0.95)), id="deaths"),
        pytest.param(Case(20, 200_000, sigma=1.2), id="unequal"),
        pytest.param(Case(300, 20_000, deaths_an_hour=0.0), id="few-samples"),
    ],
)
def test_each_position_is_sealed_once_and_the_time_is_near_the_ideal(case: Case) -> None:
    fleet = Fleet(case)
    fleet.run()
    assert fleet.finished
    assert sum(each.count for each in fleet.disk.sealed.values()) == case.samples
    assert fleet.heads == len(case.head_dies_at)
    spare = 10 * case.workers * case.pace / case.samples  # some seconds, for what a split takes
    assert 1.0 <= fleet.ideal <= max(1.05, 1 + spare)
