"""`make guard` believes a figure that falls short only the second time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import guard
from measure import Figure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from measure import Bench


class Measurements:
    """A part that gives two figures; each measurement says which of them are met."""

    def __init__(self, *met: tuple[bool, bool]) -> None:
        self.met = list(met)
        self.times = 0

    def __call__(self, _: Bench) -> Iterator[Figure]:
        self.times += 1
        for name, met in zip(("rate", "memory"), self.met.pop(0), strict=True):
            yield Figure(name, f"measured {self.times}", "a bound", met)


@pytest.mark.parametrize(
    ("met", "code", "times"),
    [
        pytest.param([(True, True)], 0, 1, id="good"),
        pytest.param([(False, True), (True, True)], 0, 2, id="noise"),
        pytest.param([(False, True), (True, False)], 0, 2, id="noise in both"),
        pytest.param([(False, True), (False, True)], 1, 2, id="short twice"),
        pytest.param([(True, False), (True, False)], 1, 2, id="the last short twice"),
    ],
)
def test_a_figure_that_falls_short_twice_is_exit_code_1(
    met: list[tuple[bool, bool]], code: int, times: int, capsys: pytest.CaptureFixture[str]
) -> None:
    part = Measurements(*met)
    assert guard.main([part]) == code
    assert part.times == times
    output = capsys.readouterr().out
    assert ("SHORT" in output) == bool(code)
    assert ("once more" in output) == (times == 2)


def test_one_bad_part_hides_no_other(capsys: pytest.CaptureFixture[str]) -> None:
    bad = Measurements((False, True), (False, True))
    good = Measurements((True, True))
    assert guard.main([bad, good]) == 1
    assert capsys.readouterr().out.count("ok   ") == 3


def test_the_repeated_measurement_is_the_one_that_is_shown(
    capsys: pytest.CaptureFixture[str],
) -> None:
    guard.main([Measurements((False, True), (True, False))])
    lines = capsys.readouterr().out.splitlines()
    assert "ok    rate: measured 2 (a bound)" in lines
    assert "ok    memory: measured 1 (a bound)" in lines
