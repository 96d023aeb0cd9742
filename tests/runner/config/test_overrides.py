from __future__ import annotations

from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Annotated, TypeGuard, Union, get_args, get_origin

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from lm_eval_so.runner.config.overrides import TEXT_KEYS, as_prose, as_typed
from lm_eval_so.runner.config.schema import ComposedConfig

if TYPE_CHECKING:
    from collections.abc import Iterator


def takes_text(kind: object) -> bool:
    if get_origin(kind) in (Annotated, Union, UnionType):
        return any(map(takes_text, get_args(kind)))
    return kind in (str, Path)


def text_keys(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        kind = field.annotation
        inner = [part for part in (kind, *get_args(kind)) if is_group(part)]
        if inner:
            yield from text_keys(inner[0], f"{prefix}{name}.")
        elif takes_text(kind):
            yield prefix + name


def is_group(kind: object) -> TypeGuard[type[BaseModel]]:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def test_the_text_keys_are_those_of_the_schema() -> None:
    assert set(text_keys(ComposedConfig)) == TEXT_KEYS


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
        ("model=모델", "model='모델'"),
        ("output_dir=결과/첫 번째", "output_dir='결과/첫 번째'"),
        ("metadata.note=#5", "metadata.note='#5'"),
        ("params.stop=。,!", "params.stop='。','!'"),
        ("dataset=데이터", "dataset='데이터'"),
        ("backend.options.answer=body.a[0].b", "backend.options.answer='body.a[0].b'"),
        ("backend.options.error=body.a == 'x'", "backend.options.error='body.a == \\'x\\''"),
        ("backend.options.url=http://h/{{ a }}?b=c", "backend.options.url='http://h/{{ a }}?b=c'"),
        ("backend.options.url={env: URL}", "backend.options.url={env: URL}"),
        ("backend.options.error=null", "backend.options.error=null"),
        ("backend.options.answer='a[0]'", "backend.options.answer='a[0]'"),
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


@pytest.mark.parametrize(
    "text",
    [
        *(
            "Be brief, please.",
            "You're a pirate: {x} [y] (z) = $1",
            "a\nb\n",
            "1e3",
            "짧게, 공손히",
        ),
        *("Q: {{ input }}", "{{ input }}", "a\\", "it\\'s", '"Hello" is a word', "true", " x "),
        "\\\\'\\\\",
    ],
)
def test_prose_arrives_as_it_was_typed(text: str) -> None:
    for key in ("prompt.system", "+prompt.template"):
        read = OverridesParser.create().parse_override(as_typed(as_prose(f"{key}={text}")))
        value = read.value()
        assert isinstance(value, str)
        assert value == text


@pytest.mark.parametrize(
    "typed",
    ["prompt.system='a,b'", 'prompt.system="a"', "prompt.system=null", "model=a,b", "prompt=terse"],
)
def test_what_is_quoted_or_no_prose_is_left_alone(typed: str) -> None:
    assert as_prose(typed) == typed


@given(st.text("ab'\"\\[]{}()=,.: <>|", min_size=1, max_size=12))
def test_an_expression_reaches_the_config_as_it_is_typed(text: str) -> None:
    override = as_typed(f"select.where=x{text}")
    assert OverridesParser.create().parse_override(override).value() == f"x{text}"


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("select.where=\"id == 'a'\"", "id == 'a'"),
        ("select.where='id == \\'a\\''", "id == 'a'"),
        ("++select.where='a' in tags or id == 'b'", "'a' in tags or id == 'b'"),
        ("select.where=null", None),
    ],
)
def test_an_expression_may_have_quotes_for_hydra_too(typed: str, read: str | None) -> None:
    assert OverridesParser.create().parse_override(as_typed(typed)).value() == read
