"""The value in ``run_metadata.json``: of this release, of earlier and newer ones, of nobody."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lm_eval_so.runner.errors import NewerVersionError, StoreError
from lm_eval_so.runner.store.run_metadata import (
    METADATA_VERSION,
    RunMetadata,
    parse_metadata,
    parse_owner,
)
from support.metadata import metadata

PATH = Path("run", "run_metadata.json")
SUMMARY: dict[str, Any] = {
    "total": 2,
    "status_counts": {"ok": 2},
    "error_counts": {},
    "error_messages": {},
    "finish_reasons": {"stop": 1, "length": 1},
    "truncated": 1,
    "refused": 0,
    "empty": 0,
    "missing": [],
    "by_tag": {
        "ko": {
            "n": 2,
            "ok": 2,
            "failed": 0,
            "truncated": 1,
            "tokens": 7,
            "latency_p50_ms": 1.0,
        }
    },
    "models": {"m": {"answers": 2, "first_at": "2026-11-26T01:11:24Z", "sample_id": "a"}},
    "system_fingerprints": {},
    "repeats": {"samples": 1, "all_equal": 1.0, "mean_distinct": 1.0},
    "latency_ms": {"min": 1.0, "mean": 1.5, "p50": 1.0, "p90": 2.0, "p99": 2.0, "max": 2.0},
    "time_to_first_token_ms": None,
    "time_to_first_answer_token_ms": None,
    "tokens": {"input": 3, "output": 4, "total": 7},
    "attempts": 2,
    "retries": 0,
    "rate_limited": 0,
    "cost_usd": 0.25,
    "requests": 2,
    "resumed": 0,
    "wall_time_s": 0.5,
    "results_per_s": 4.0,
}
FULL: dict[str, Any] = {
    "schema_version": 1,
    "state": "complete",
    "reason": None,
    "started_at": "2026-11-26T01:11:23.820125+00:00",
    "ended_at": "2026-11-26T01:11:26+00:00",
    "dataset": {
        "id": "colours",
        "name": "Colours",
        "version": "1",
        "path": "colours/test.jsonl",
        "location": "/data/colours/test.jsonl",
        "sha256": "8b" * 32,
        "sample_count": 2,
        "metadata": {"id": "colours", "more": [1, None, {"a": 0.5}]},
        "config": {"path": "colours", "encoding": "cp949"},
    },
    "selection": {"asked": {"limit": 2}, "selected": 2, "of": 2},
    "prompt": {
        "name": "mine",
        "label": "mine",
        "system": "Be brief.",
        "system_mode": "prepend",
        "template": None,
        "few_shot": {"path": "shots.jsonl", "sha256": "5c" * 32, "count": 3, "seed": None},
        "digest": "7d" * 32,
    },
    "run_config": {
        "backend": "simulated",
        "model": "m",
        "parameters": {"temperature": 0, "stop": ["a"]},
        "backend_options": {"seed": 0},
        "metadata": {"note": "n"},
    },
    "variant": "v",
    "repeats": 3,
    "options": {"max_concurrency": "auto", "trace_prefix": "lm-eval-so"},
    "store": {"raw": True, "record_headers": []},
    "engine": "sync",
    "command": "lm-eval-so model=m",
    "fingerprint": "16" * 32,
    "identity": {"dataset": "colours", "model": "m"},
    "environment": {
        "lm_eval_so": "0.1.0",
        "python": "3.11.7",
        "platform": "Linux",
        "host": "host",
        "git_commit": None,
        "packages": {"pydantic": "2.12.0"},
    },
    "concurrency": 8,
    "concurrency_history": [{"at_s": 0.0, "limit": 8, "reason": "start"}],
    "limits_per_minute": {"requests": 60.0},
    "starts_per_s": 1.5,
    "verdict": {"outcome": "complete", "reasons": [], "warnings": ["one is cut off"]},
    "summary": SUMMARY,
}
_NO_HISTORY = ("concurrency", "concurrency_history", "limits_per_minute")
_LATER = {  # what a release did not write yet, newest first; dotted where it is nested
    "command": ("command",),
    "location": ("dataset.location",),
    "error-messages": ("summary.error_messages",),
    "start-rate": ("starts_per_s",),
    "repeats": ("variant", "repeats"),
    "cost": ("summary.cost_usd",),
    "concurrency": _NO_HISTORY,
}


def parsed(fields: object) -> RunMetadata:
    return parse_metadata(orjson.dumps(fields), PATH)


def without(*names: str) -> dict[str, Any]:
    fields = orjson.loads(orjson.dumps(FULL))
    for name in names:
        *folders, last = name.split(".")
        within = fields
        for folder in folders:
            within = within[folder]
        del within[last]
    return fields


def test_the_file_keeps_its_keys_their_order_and_its_numbers() -> None:
    assert parsed(FULL).to_json() == orjson.dumps(
        FULL, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    )


def test_what_is_written_is_read() -> None:
    for value in (metadata(), metadata(state="aborted", reason="a server"), parsed(FULL)):
        assert parse_metadata(value.to_json(), PATH) == value


@pytest.mark.parametrize("age", range(1, len(_LATER) + 1), ids=list(_LATER))
def test_a_file_of_an_earlier_release_has_defaults_for_what_came_later(age: int) -> None:
    missing = [name for names in list(_LATER.values())[:age] for name in names]
    value = parsed(without(*missing))
    assert value.state == "complete"
    assert value.asked == (6 if "repeats" not in missing else 2)
    assert value.summary is not None
    assert value.summary.status_counts == {"ok": 2}
    assert parse_metadata(value.to_json(), PATH) == value


def test_keys_of_others_are_kept_and_change_nothing() -> None:
    more = {"x": [1], "이름": None}
    fields = {
        **FULL,
        **more,
        "dataset": {**FULL["dataset"], **more},
        "summary": {**SUMMARY, **more},
    }
    found = parsed(fields)
    assert found.model_extra == more
    assert found.model_dump(exclude={*more}) == (parsed(FULL).model_dump())


def test_a_file_without_a_version_is_one_of_the_first() -> None:
    assert parsed(without("schema_version")).schema_version == 1


@pytest.mark.parametrize("version", [METADATA_VERSION + 1, 99, 1.5])
@pytest.mark.parametrize(
    "rest", [{}, FULL, {"state": "of another kind"}], ids=["bare", "full", "new"]
)
def test_a_newer_version_is_refused_with_what_to_do(version: float, rest: dict[str, Any]) -> None:
    text = orjson.dumps({**rest, "schema_version": version})
    for parse in (parse_metadata, parse_owner):
        with pytest.raises(NewerVersionError) as refused:
            parse(text, PATH)
        assert str(refused.value) == (
            f"{PATH} has schema_version {version}, and this release of lm-eval-so understands up "
            f"to {METADATA_VERSION}; update lm-eval-so to resume"
        )


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        pytest.param({"summary": 3}, "summary: ", id="summary"),
        pytest.param({"state": "asleep"}, "state: ", id="state"),
        pytest.param({"dataset": {"id": "d"}}, "dataset.path: Field required", id="dataset"),
        pytest.param({"schema_version": "2"}, "schema_version: ", id="version"),
        pytest.param({"started_at": "2026-11-26T01:11:23"}, "started_at: ", id="no-zone"),
        pytest.param({"concurrency_history": [{}]}, "concurrency_history.0.at_s: ", id="history"),
    ],
)
def test_a_damaged_value_is_one_sentence_that_names_it(changed: dict[str, Any], named: str) -> None:
    with pytest.raises(StoreError) as refused:
        parsed({**FULL, **changed})
    sentence = str(refused.value)
    assert f"{PATH} cannot be read ({named}" in sentence
    assert "\n" not in sentence


scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text()
documents = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10
)


def paths(fields: dict[str, Any], prefix: str = "") -> list[str]:
    """The dotted names of all that a file holds."""
    found = []
    for name, value in fields.items():
        found.append(f"{prefix}{name}")
        if isinstance(value, dict):
            found += paths(value, f"{prefix}{name}.")
    return found


def assert_is_one_sentence(error: StoreError) -> None:
    sentence = str(error)
    assert str(PATH) in sentence
    assert len(sentence.splitlines()) == 1


@given(text=st.binary() | documents.map(orjson.dumps))
@example(text=b"[" * 2000)
@example(text=b'{"a":' * 2000)
@example(text=b'{"schema_version": 1e400}')
def test_no_document_gives_anything_but_a_value_or_a_sentence(text: bytes) -> None:
    for parse in (parse_metadata, parse_owner):
        try:
            parse(text, PATH)
        except StoreError as error:
            assert_is_one_sentence(error)


@given(name=st.sampled_from(paths(FULL)), value=documents)
def test_no_value_in_any_place_gives_anything_but_a_value_or_a_sentence(
    name: str, value: object
) -> None:
    fields = without()
    *folders, last = name.split(".")
    within = fields
    for folder in folders:
        within = within[folder]
    within[last] = value
    parse_owner(orjson.dumps(without("schema_version")), PATH)
    try:
        found = parsed(fields)
    except StoreError as error:
        assert_is_one_sentence(error)
    else:
        assert parse_metadata(found.to_json(), PATH) == found


def test_what_cannot_be_written_is_repaired() -> None:
    odd = metadata(
        reason="half \ud83d", environment={"host": "c\udcff"}, engine_found={"n": 10**30}
    )
    again = parse_metadata(odd.to_json(), PATH)
    assert (again.reason, again.environment.host) == ("half \ufffd", "c\ufffd")
    assert again.started_at == odd.started_at
    assert again.model_extra == {"engine_found": {"n": 1e30}}
