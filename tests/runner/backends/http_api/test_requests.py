"""What a chatbot receives is what the config says, whatever a sample contains."""

from __future__ import annotations

import asyncio
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lm_eval_so import TestSample
from lm_eval_so.runner.errors import BackendSetupError, ConfigError
from support.ask_http import ask, asked, backend_of, failure
from support.chatbot import Chatbot
from support.requests import request_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lm_eval_so.runner.backends.http_api.backend import HttpBackend

SPOKEN = [
    {"role": "system", "content": "Be kind."},
    {"role": "user", "content": "One?"},
    {"role": "assistant", "content": "1"},
    {"role": "user", "content": "Two?"},
]


@pytest.fixture(scope="module")
def bot() -> Iterator[Chatbot]:
    with Chatbot() as running:
        yield running


def to(bot: Chatbot, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - options
    return {"url": f"{bot.url}/chat", "answer": "body.reply", **more}


EXPRESSIONS: list[tuple[str, Any]] = [
    ("messages", SPOKEN),
    ("last_user", "Two?"),
    ("history", SPOKEN[1:3]),
    ("system", "Be kind."),
    ("sample.id", "s0"),
    ("sample.metadata.age", 7),
    ("sample.colour", "red"),
    ("model", "bot"),
    ("params", {"temperature": 0.5}),
    ("trace_id", "trace"),
    ("messages[*].content", [each["content"] for each in SPOKEN]),
    ("{a: {b: last_user}}", {"a": {"b": "Two?"}}),
    ("sample.nothing", None),
    ("'{{ }}'", "{{ }}"),
]


@pytest.mark.parametrize(
    ("expression", "value"), EXPRESSIONS, ids=[each for each, _ in EXPRESSIONS]
)
def test_an_expression_alone_keeps_its_type_and_becomes_text_within_text(
    expression: str, value: object, bot: Chatbot
) -> None:
    body = {"alone": f" {{{{ {expression} }}}}", "fixed": [1, None, True]}
    sample = asked(messages=deepcopy(SPOKEN), metadata={"age": 7}, colour="red")
    ask(to(bot, body=body), sample, parameters={"temperature": 0.5, "seed": None})
    assert bot.heard[-1].json == {"alone": value, "fixed": [1, None, True]}
    if isinstance(value, str | int):
        ask(to(bot, body=[f"<{{{{{expression}}}}}>"]), sample)
        assert bot.heard[-1].json == [f"<{value}>"]


TEXTS = st.text(st.characters(codec="utf-8")) | st.lists(
    st.sampled_from(['"', "\n", "\\", "{", "}", "{{", "}}", "{{ model }}", "🙂", "\0", "\u2028"])
).map("".join)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


def as_constant(tree: Any) -> Any:  # noqa: ANN401 - JSON
    """The tree, with no text that would be read as an expression."""
    if isinstance(tree, dict):
        return {key.replace("{{", ""): as_constant(item) for key, item in tree.items()}
    if isinstance(tree, list):
        return [as_constant(item) for item in tree]
    return tree.replace("{{", "") if isinstance(tree, str) else tree


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = asyncio.new_event_loop()
    yield made
    made.close()


@settings(max_examples=200)
@given(said=st.lists(TEXTS, min_size=10, max_size=10), known=JSON, tree=JSON)
def test_the_body_is_the_one_intended_whatever_a_message_holds(
    said: list[str],
    known: object,
    tree: object,
    bot: Chatbot,
    loop: asyncio.AbstractEventLoop,
) -> None:
    """2,000 messages, through 200 trees."""
    constant = as_constant(tree)
    body = {
        "tree": constant,
        "question": "{{ last_user }}",
        "within": "a {{ last_user }} b",
        "deep": [{"messages": "{{ messages }}", "known": "{{ sample.metadata.known }}"}],
    }
    backend = backend_of(to(bot, body=body))

    async def send() -> None:
        async with backend:
            for text in said:
                sample = asked(text, metadata={"known": known})
                await backend.send(request_of(sample, 0, backend.config, "key", "trace"))

    loop.run_until_complete(send())
    assert [heard.json for heard in bot.heard[-len(said) :]] == [
        {
            "tree": constant,
            "question": text,
            "within": f"a {text} b",
            "deep": [{"messages": [{"role": "user", "content": text}], "known": known}],
        }
        for text in said
    ]


def test_half_a_character_is_that_samples_failure(bot: Chatbot) -> None:
    sample = asked("hi").model_copy(
        update={"messages": [{"role": "user", "content": "half \ud83d"}]}
    )
    for how, body in (
        ("json", {"q": "{{ last_user }}"}),
        ("form", {"q": "{{ last_user }}"}),
        ("multipart", {"q": "{{ last_user }}"}),
    ):
        found = failure(to(bot, body=body, body_format=how), sample)
        assert found.sample_fault
        assert not found.retryable


def test_a_function_that_does_not_take_its_value_is_that_samples_failure(bot: Chatbot) -> None:
    body = {"q": "{{ join(',', sample.metadata.words) }}"}
    assert ask(to(bot, body=body), asked("hi", metadata={"words": ["a", "b"]})).text == "hi"
    found = failure(to(bot, body=body), asked("hi", metadata={"words": 5}))
    assert found.sample_fault
    assert "backend.options.body.q" in found.message


def test_content_parts_of_text_alone_are_text_and_others_stay(bot: Chatbot) -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    image = [*parts, {"type": "image_url", "image_url": {"url": "data:,"}}]
    for content, sent in ((parts, "a\nb"), (image, image)):
        sample = asked(messages=[{"role": "user", "content": content}])
        ask(to(bot, body={"q": "{{ last_user }}"}), sample)
        assert bot.heard[-1].json == {"q": sent}


def test_a_form_holds_names_and_values(bot: Chatbot) -> None:
    body = {"q": "{{ last_user }}", "tag": ["a", "b"], "n": 5, "none": None, "o": {"k": "ü"}}
    ask(to(bot, body=body, body_format="form"), asked('a&b="ü"\n'))
    wanted = [("q", 'a&b="ü"\n'), ("tag", "a"), ("tag", "b"), ("n", "5"), ("o", '{"k":"ü"}')]
    assert bot.heard[-1].form == wanted
    assert bot.heard[-1].headers["Content-Type"] == "application/x-www-form-urlencoded"


def test_multipart_holds_fields_and_files(bot: Chatbot) -> None:
    file = {"filename": 'a"b.txt', "content": "{{ last_user }}", "content_type": "text/csv"}
    body = {"q": "{{ last_user }}", "data": file}
    ask(to(bot, body=body, body_format="multipart"), asked("--x\r\nü"))
    assert bot.heard[-1].form == [
        ("q", "--x\r\nü"),
        ("data", ("a%22b.txt", "text/csv", "--x\r\nü".encode())),
    ]


def test_get_asks_by_the_query(bot: Chatbot) -> None:
    query = {"q": "{{ last_user }}", "n": 3, "deep": True, "tag": ["a", "b"], "none": None}
    options = {"url": f"{bot.url}/ask?v=1", "method": "get", "answer": "body.reply", "query": query}
    ask(options, asked("a&b=ü {{ model }}"))
    heard = bot.heard[-1]
    assert (heard.method, heard.path, heard.body) == ("GET", "/ask", b"")
    assert sorted(heard.query) == sorted(
        [
            *(("v", "1"), ("n", "3"), ("deep", "true"), ("q", "a&b=ü {{ model }}")),
            *(("tag", "a"), ("tag", "b")),
        ]
    )


def test_a_value_in_the_path_leads_to_no_other_path(bot: Chatbot) -> None:
    options = to(bot) | {"url": f"{bot.url}/bots/{{{{ sample.id }}}}/ask", "body": {}}
    sample = TestSample(id="../a?b#c/d%", messages=[{"role": "user", "content": "hi"}])
    ask(options, sample)
    assert bot.heard[-1].path == "/bots/..%2Fa%3Fb%23c%2Fd%25/ask"
    assert backend_of(options).endpoint == f"{bot.url}/bots/{{{{ sample.id }}}}/ask"


def test_headers_and_addresses_come_from_variables(bot: Chatbot) -> None:
    options = to(bot) | {
        "url": {"env": "BOT_URL"},
        "headers": {
            "Authorization": {"env": "BOT_KEY", "prefix": "Bearer "},
            "X-Id": "{{ sample.id }}",
        },
        "query": {"key": {"env": "BOT_KEY"}},
    }
    environ = {"BOT_URL": f"{bot.url}/here\r\n", "BOT_KEY": " k-0123456789 "}
    ask(options, environ=environ)
    heard = bot.heard[-1]
    assert heard.path == "/here"
    assert heard.headers["Authorization"] == "Bearer k-0123456789"
    assert heard.headers["X-Id"] == "s0"
    assert heard.query == [("key", "k-0123456789")]
    with pytest.raises(
        BackendSetupError, match=r"the variable BOT_URL is not set; backend\.options"
    ):
        backend_of(options)


def test_a_header_that_a_sample_breaks_is_that_samples_failure(bot: Chatbot) -> None:
    found = failure(to(bot, headers={"X-Q": "{{ last_user }}"}), asked("a\r\nX-Evil: 1"))
    assert found.sample_fault
    assert "X-Q holds a line break" in found.message


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"body": {"q": "{{ last_usr }}"}}, "did you mean 'last_user'?"),
    ({"body": {"q": "{{ last_user"}}, "without"),
    ({"body": {"q": "{{ last_user[ }}"}}, "is no JMESPath expression"),
    ({"body": {"{{ model }}": 1}}, "cannot hold an expression"),
    ({"body": {"q": "{{ @ }}"}}, "begins with '@'"),
    ({"answer": "reply"}, "did you mean 'body.reply'?"),
    ({"retry_when": "body.done == false"}, "in backticks: `false`"),
    ({"answer": None}, "backend.options.answer is missing"),
    ({"body": {"q": "{{ session }}"}}, "needs backend.options.session"),
    ({"url": "localhost/chat"}, "must start with http://"),
    ({"url": "http://{{ model }}/chat"}, "the server cannot be an expression"),
    ({"url": "http://h/c?q={{ model }}"}, "backend.options.query"),
    ({"method": "GET", "body": {"a": 1}}, "sends no body"),
    ({"body": "x", "body_format": "form"}, "needs backend.options.body"),
    ({"headers": {"A": {"env": "sk-proj-0123456789abcdef"}}}, "name of an environment variable"),
    ({"anser": "body.reply"}, "answer"),
    ({"ok_status": [99]}, "200"),
    ({"auth": {"token_command": []}}, "token_command"),
]


@pytest.mark.parametrize(("wrong", "sentence"), WRONG, ids=[str(each) for each, _ in WRONG])
def test_a_wrong_option_is_told_before_anything_is_sent(
    wrong: dict[str, Any], sentence: str
) -> None:
    options = {"url": "http://127.0.0.1:9/chat", "answer": "body.reply"} | wrong
    with pytest.raises(ConfigError) as raised:
        backend_of(options)
    assert sentence in str(raised.value)
    assert "0123456789abcdef" not in str(raised.value)


def key_of(backend: HttpBackend, sample: TestSample) -> dict[str, Any]:
    return backend.sent_of(sample)


def test_what_is_sent_of_a_sample_and_no_more_is_a_part_of_its_key() -> None:
    base = {"url": "http://h/c", "answer": "text"}
    sample = asked("hi", metadata={"a": 1}, tags=["t"], colour="red")
    sent = {
        "{{ last_user }}": {},
        "{{ sample.metadata.a }} {{ sample.colour }}": {"metadata": {"a": 1}, "colour": "red"},
        "{{ sample.tags[0] }}": {"tags": ["t"]},
        "{{ [sample][0].id }}": {**sample.model_dump(exclude={"messages"})},
    }
    for expression, wanted in sent.items():
        assert key_of(backend_of({**base, "body": expression}), sample) == wanted


def test_how_the_bot_is_reached_is_no_part_of_the_identity_and_what_it_is_sent_is() -> None:
    base = {"url": "http://h/c", "answer": "body.a", "body": {"q": "{{ last_user }}"}}
    same = {**base, "headers": {"X-Team": "qa"}, "auth": {"token_command": ["true"]}}
    assert backend_of(base).identity_options == backend_of(same).identity_options
    assert backend_of(base).identity_options == {"answer": "body.a", "body": base["body"]}
    other = {**base, "body": {"q": "{{ last_user }}", "lang": "ko"}}
    assert backend_of(base).identity_options != backend_of(other).identity_options
    secret = {**base, "body": {"q": "{{ last_user }}", "api_key": "k-0123456789"}}
    assert "k-0123456789" not in str(backend_of(secret).identity_options)


def test_a_secret_in_the_body_is_sent(bot: Chatbot) -> None:
    ask(to(bot, body={"api_key": "k-0123456789", "token": "{{ model }}"}))
    assert bot.heard[-1].json == {"api_key": "k-0123456789", "token": "bot"}
