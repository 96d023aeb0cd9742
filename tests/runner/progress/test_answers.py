from __future__ import annotations

import pytest
from rich.cells import cell_len

from lm_eval_so.runner.progress.answers import first_answers
from lm_eval_so.runner.progress.units import cut
from support.results import result

LONG = "The capital of France is Paris, which lies on the Seine. " * 5


def test_the_first_three_answers_are_shown_a_line_each() -> None:
    results = [result(f"s{n}", text=f"answer {n}") for n in range(9)]
    assert list(first_answers(results, 80)) == ["s0  answer 0", "s1  answer 1", "s2  answer 2"]


def test_failed_samples_are_passed_over() -> None:
    results = [result(f"s{n}", text="yes", fails=n < 50) for n in range(60)]
    assert [line.split()[0] for line in first_answers(results, 80)] == ["s50", "s51", "s52"]


def test_a_run_without_an_answer_shows_none() -> None:
    assert list(first_answers([result(fails=True)] * 1000, 80)) == []
    assert list(first_answers([], 80)) == []


def test_ids_of_different_length_stand_in_one_column() -> None:
    results = [result("a", text="one"), result("샘플", text="two"), result("x" * 99, text="three")]
    assert list(first_answers(results, 80)) == [
        "a                 one",
        "샘플              two",
        "xxxxxxxxxxxxx...  three",
    ]


@pytest.mark.parametrize("width", [40, 80])
@pytest.mark.parametrize("text", [LONG, "가나다라 " * 100, "\U0001f600" * 300, "word" * 300])
def test_no_line_is_wider_than_the_terminal(width: int, text: str) -> None:
    (line,) = first_answers([result("sample-1", text=text)], width)
    assert width - 3 <= cell_len(line) <= width
    assert line.endswith("...")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("two\nlines\r\n\n  and\ta tab", "two lines and a tab"),
        ("\x1b[31mred\x1b[0m \x07bell", "[31mred [0m bell"),
        ("a\u202eb", "a b"),
        ("", "(empty)"),
        (" \n ", "(empty)"),
    ],
)
def test_an_answer_cannot_move_the_cursor(text: str, shown: str) -> None:
    assert list(first_answers([result("s", text=text)], 80)) == [f"s  {shown}"]


@pytest.mark.parametrize(
    ("text", "width", "expected"),
    [("short", 10, "short"), ("exactly10!", 10, "exactly10!"), ("eleven char", 10, "eleven..."),
     ("한국어한국어", 10, "한국어..."), ("", 10, "")],
)  # fmt: skip
def test_a_text_is_cut_to_the_cells_of_a_terminal(text: str, width: int, expected: str) -> None:
    assert cut(text, width) == expected
