from __future__ import annotations

import pytest

from lm_eval_so.runner.errors import ConfigError
from lm_eval_so.runner.models import Message, TestSample
from lm_eval_so.runner.request.template import Template

USER: Message = {"role": "user", "content": "Why?"}
SAMPLE = TestSample.model_validate({"id": "s", "messages": [USER], "topic": "x"})


def rendered(text: str) -> object:
    return Template(text, "t.j2").applied(SAMPLE, SAMPLE.messages)[0]["content"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        pytest.param("{{ topics }}", "no 'topics'; did you mean 'topic'?", id="nearest"),
        pytest.param("{{ qqq }}", "no 'qqq'; a sample here has expected, id", id="what-there-is"),
        pytest.param("{{ metadata.language }}", "has no attribute 'language'", id="inner"),
        pytest.param("{% if qqq %}{% endif %}x", "no 'qqq'", id="in-a-condition"),
        pytest.param("{{ 1 / 0 }}", "division by zero", id="arithmetic"),
        pytest.param("{{ ''.__class__.__mro__ }}", "unsafe", id="sandbox"),
        pytest.param("{{ messages.append(1) }}", "is unsafe", id="changes-the-sample"),
        pytest.param("{% for i in range(10**9) %}{% endfor %}", "Range too big", id="endless"),
        pytest.param("{{ '' }} \n", "gives an empty text", id="empty"),
    ],
)
def test_what_does_not_fit_a_sample_is_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=r"^t\.j2") as error:
        rendered(text)
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        pytest.param("a\n{{ input", "t.j2:2: not a template", id="syntax"),
        pytest.param("{% include 'x' %}{{ a | nope }}", "No filter named 'nope'", id="filter"),
        pytest.param("{{ tags | random }}", "No filter named 'random'", id="chance"),
    ],
)
def test_what_is_no_template_is_told_when_it_is_read(text: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as error:
        Template(text, "t.j2")
    assert sentence in str(error.value)


def test_a_sample_without_a_user_turn_is_told() -> None:
    with pytest.raises(ValueError, match="the sample has none"):
        Template("x", "t.j2").applied(SAMPLE, [{"role": "assistant", "content": "a"}])


def test_text_is_no_html() -> None:
    assert rendered("<b>{{ input }}</b> & {{ '<' }}") == "<b>Why?</b> & <"
