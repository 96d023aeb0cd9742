from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from lm_eval_so.runner.errors import DatasetError
from lm_eval_so.runner.models import RunConfig, TestSample
from lm_eval_so.runner.request.build import RequestBuilder
from lm_eval_so.runner.request.few_shot import choose, example_of
from lm_eval_so.runner.request.prompt import Prompt
from lm_eval_so.runner.request.template import Template

if TYPE_CHECKING:
    from lm_eval_so.runner.models import Message

USER: Message = {"role": "user", "content": "Why?"}
OWN: Message = {"role": "system", "content": "Own."}
OURS: Message = {"role": "system", "content": "Ours."}
IMAGE = {"type": "image_url", "image_url": {"url": "https://a/b.png"}}


def sample(*messages: Message, sample_id: str = "s", **fields: Any) -> TestSample:  # noqa: ANN401
    return TestSample.model_validate({"id": sample_id, "messages": list(messages), **fields})


@pytest.mark.parametrize(
    ("mode", "messages", "sent"),
    [
        pytest.param("replace", [OWN, USER], [OURS, USER], id="replaced"),
        pytest.param("replace", [USER], [OURS, USER], id="nothing-to-replace"),
        pytest.param("replace", [OWN, OWN, USER], [OURS, USER], id="all-at-the-start-replaced"),
        pytest.param("replace", [USER, OWN], [OURS, USER, OWN], id="a-later-one-is-a-turn"),
        pytest.param(
            "replace",
            [{"role": "developer", "content": "Own."}, USER],
            [OURS, USER],
            id="developer-is-system",
        ),
        pytest.param(
            "prepend",
            [OWN, USER],
            [{"role": "system", "content": "Ours.\n\nOwn."}, USER],
            id="joined-with-a-blank-line",
        ),
        pytest.param(
            "prepend",
            [{"role": "system", "content": [{"type": "text", "text": "Own."}]}, USER],
            [
                {
                    "role": "system",
                    "content": [
                        {"type": "text", "text": "Ours.\n\n"},
                        {"type": "text", "text": "Own."},
                    ],
                },
                USER,
            ],
            id="before-content-parts",
        ),
        pytest.param("prepend", [USER], [OURS, USER], id="nothing-to-prepend-to"),
        pytest.param("default", [OWN, USER], [OWN, USER], id="own-wins"),
        pytest.param("default", [USER], [OURS, USER], id="ours-where-there-is-none"),
    ],
)
def test_the_mode_decides_about_the_samples_own_system_message(
    mode: Any,  # noqa: ANN401 - one of three words
    messages: list[Message],
    sent: list[Message],
) -> None:
    assert Prompt(system="Ours.", system_mode=mode).messages(sample(*messages)) == sent


def test_a_template_sees_the_fields_of_the_sample_and_its_further_keys() -> None:
    text = "{{ id }} {{ input }} {{ expected }} {{ tags[0] }} {{ metadata.a }} {{ topic }}"
    text += " {{ messages | length }}"
    asked = sample(OWN, USER, expected=4, tags=["t"], metadata={"a": 1}, topic="x")
    made = Prompt(template=Template(text, "t")).messages(asked)
    assert made == [OWN, {"role": "user", "content": "s Why? 4 t 1 x 2"}]


def test_a_template_changes_the_last_user_turn_alone() -> None:
    answer: Message = {"role": "assistant", "content": "Because."}
    named: Message = {"role": "user", "content": "And?", "name": "kim"}
    made = Prompt(template=Template("Q: {{ input }}", "t")).messages(
        sample(USER, answer, named, answer)
    )
    assert made == [USER, answer, {**named, "content": "Q: And?"}, answer]


def test_a_template_keeps_the_parts_that_are_no_text() -> None:
    parts = [IMAGE, {"type": "text", "text": "one"}, IMAGE, {"type": "text", "text": "two"}]
    made = Prompt(template=Template("<{{ input }}>", "t")).messages(
        sample({"role": "user", "content": parts})
    )
    text = {"type": "text", "text": "<one\ntwo>"}
    assert made == [{"role": "user", "content": [IMAGE, text, IMAGE]}]


def test_the_sample_is_not_changed() -> None:
    asked = sample(OWN, USER)
    before = asked.model_dump()
    Prompt(system="Ours.", system_mode="prepend", template=Template("x", "t")).messages(asked)
    assert asked.model_dump() == before


def test_examples_stand_between_the_system_message_and_the_turns() -> None:
    examples = choose([example_of(sample(OWN, USER, sample_id="e", expected=4))], 1)
    asked = sample(OWN, {"role": "user", "content": "How?"})
    assert Prompt(system="Ours.", examples=examples).messages(asked) == [
        OURS,
        USER,
        {"role": "assistant", "content": "4"},
        asked.messages[1],
    ]


def test_the_request_and_its_key_are_of_what_the_prompt_makes() -> None:
    config = RunConfig(backend="b", model="m")
    asked = sample(OWN, USER)
    prompted = RequestBuilder(config).with_prompt(Prompt(system="Ours."))
    request = prompted.build(asked, 0, 0, prompted.key(asked))
    assert request.messages == [OURS, USER]
    assert request.sample is asked
    assert request.request_key == RequestBuilder(config).key(sample(OURS, USER))
    assert request.request_key != RequestBuilder(config).key(asked)


def test_each_sample_gets_its_own_messages_in_any_order() -> None:
    prompted = RequestBuilder(RunConfig(backend="b", model="m")).with_prompt(Prompt(system="S"))
    one, two = sample(USER), sample({"role": "user", "content": "How?"})
    keys = [prompted.key(each) for each in (one, two, one)]
    assert keys[0] == keys[2] != keys[1]
    assert prompted.build(two, 0, 0, keys[1]).messages[-1] == two.messages[0]


def test_a_sample_that_the_prompt_does_not_fit_is_an_error_of_the_dataset() -> None:
    template = Template("{{ topic }}", "t")
    prompted = RequestBuilder(RunConfig(backend="b", model="m")).with_prompt(
        Prompt(template=template)
    )
    with pytest.raises(DatasetError, match="sample 's': t: the sample has no 'topic'"):
        prompted.key(sample(USER))
