from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from lm_eval_so.runner.models import TestSample
from lm_eval_so.runner.request.few_shot import Example, Examples, choose, example_of
from lm_eval_so.runner.request.template import Template


def sample(sample_id: str, question: str = "", **fields: Any) -> TestSample:  # noqa: ANN401
    messages = [{"role": "user", "content": question or f"question {sample_id}"}]
    return TestSample.model_validate({"id": sample_id, "messages": messages, **fields})


def examples(count: int) -> list[Example]:
    return [example_of(sample(f"e{n}", expected=f"answer {n}")) for n in range(count)]


def chosen(found: Examples, asked: TestSample) -> list[object]:
    return [turn["content"] for turn in found.before(asked)[1::2]]


def test_the_first_ones_are_taken_in_their_order() -> None:
    found = choose(examples(9), 3)
    assert chosen(found, sample("s")) == ["answer 0", "answer 1", "answer 2"]


def test_a_seed_draws_the_same_ones_whatever_the_order_of_the_file() -> None:
    given = examples(6)
    drawn = {tuple(chosen(choose(order, 2, seed=1), sample("s"))) for order in permutations(given)}
    assert len(drawn) == 1
    others = {tuple(chosen(choose(given, 2, seed=seed), sample("s"))) for seed in range(20)}
    assert len(others) > 5


def test_a_larger_draw_begins_with_the_smaller_one() -> None:
    given = examples(50)
    small, large = (chosen(choose(given, n, seed=3), sample("s")) for n in (3, 10))
    assert large[:3] == small


@pytest.mark.parametrize("seed", [None, 0, 1, 2])
def test_a_sample_is_never_its_own_example(seed: int | None) -> None:
    given = examples(5)
    found = choose(given, 3, seed)
    for n in range(5):
        by_id = chosen(found, sample(f"e{n}", "another question"))
        by_question = chosen(found, sample("s", f"question e{n}"))
        assert len(by_id) == len(by_question) == 3
        assert f"answer {n}" not in [*by_id, *by_question]


def test_a_question_that_comes_twice_is_one_example() -> None:
    twice = [example_of(sample(f"e{n}", "same", expected=n)) for n in range(3)]
    found = choose([*twice, *examples(1)], 2)
    assert found.available == 2
    assert chosen(found, sample("s")) == ["0", "answer 0"]
    with pytest.raises(ValueError, match="only 1 examples"):
        found.before(sample("s", "same"))


def test_the_kept_examples_do_not_grow_with_their_dataset() -> None:
    assert choose(examples(500), 4, seed=0).available == 6


@pytest.mark.parametrize(
    ("expected", "text"),
    [("Yes.", "Yes."), (4, "4"), (True, "true"), ({"a": "네"}, '{"a":"네"}'), (0, "0")],
)
def test_what_is_expected_becomes_text(expected: object, text: str) -> None:
    assert example_of(sample("e", expected=expected)).turns[-1] == {
        "role": "assistant",
        "content": text,
    }


def conversation(*roles: str, **fields: Any) -> TestSample:  # noqa: ANN401
    messages = [{"role": role, "content": f"{role} {n}"} for n, role in enumerate(roles)]
    return TestSample.model_validate({"id": "e", "messages": messages, **fields})


def test_the_last_turn_of_the_assistant_is_the_answer_unless_one_is_expected() -> None:
    roles = ("system", "user", "assistant", "user", "assistant")
    asked = conversation(*roles)
    assert example_of(asked).turns == asked.messages[1:]
    expected = example_of(conversation(*roles, expected="E"))
    assert expected.turns == [*asked.messages[1:4], {"role": "assistant", "content": "E"}]


@pytest.mark.parametrize("expected", [None, "", [], {}])
def test_an_example_without_an_answer_is_told(expected: object) -> None:
    with pytest.raises(ValueError, match="needs an answer: `expected`"):
        example_of(sample("e", expected=expected))


def test_a_template_makes_the_questions_of_examples_too() -> None:
    made = example_of(sample("e", "Why?", expected="So."), Template("Q: {{ input }}", "t"))
    assert [turn["content"] for turn in made.turns] == ["Q: Why?", "So."]
    assert made.question == example_of(sample("e", "Why?", expected="So.")).question
