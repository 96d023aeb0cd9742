"""Turns a record of any format into a sample."""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from lm_eval_so.runner.config.messages import explain
from lm_eval_so.runner.dataset import hints
from lm_eval_so.runner.dataset.base import Record
from lm_eval_so.runner.dataset.numbers import odd_number
from lm_eval_so.runner.dataset.plain import PlainSample, read_plain
from lm_eval_so.runner.models import TestSample


def json_text(record: Record) -> bytes:
    """The record as JSON text, which is also what the digest is made of.

    Raises:
        ValueError: What is wrong with the record, in one sentence.
    """
    match record.value:
        case bytes() as text:
            return text
        case ValueError() as fault:
            raise ValueError(str(fault))
        case value:
            return _as_json(value)


def _as_json(value: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"a value cannot be written as JSON: {error}") from error


def parse_sample(text: bytes) -> TestSample:
    """The sample that a JSON text holds.

    Raises:
        ValueError: What is wrong with it, in one sentence.
    """
    plain = read_plain(text)
    if plain is not None:
        return plain.whole()
    try:
        sample = TestSample.model_validate_json(text)
    except ValidationError as error:
        raise ValueError(_sentence(error, text)) from error
    fault = odd_number(text, sample) or hints.not_sent(sample.model_extra or {})
    if fault:
        raise ValueError(fault)
    return sample


def parse_checked(text: bytes) -> TestSample | PlainSample:
    """`parse_sample` without the checks that the text has already passed.

    Raises:
        ValueError: The text has changed since.
    """
    plain = read_plain(text)
    if plain is not None:
        return plain
    try:
        return TestSample.model_validate_json(text)
    except ValidationError:
        return parse_sample(text)


def _sentence(error: ValidationError, text: bytes) -> str:
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        return hints.of_encoding(text) or hints.of_json(text, first["ctx"]["error"])
    return explain(error, known=(), whole="a sample") + hints.of_sample(text)
