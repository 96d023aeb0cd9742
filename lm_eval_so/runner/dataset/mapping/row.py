"""One row becomes one sample."""

from collections.abc import Mapping
from typing import Any

from lm_eval_so.runner.config.schema import Layout
from lm_eval_so.runner.dataset.cells import (
    as_messages,
    as_tags,
    as_text,
    from_json,
    is_empty,
    plain,
)
from lm_eval_so.runner.dataset.layouts.draft import Draft
from lm_eval_so.runner.dataset.layouts.registry import LAYOUTS
from lm_eval_so.runner.dataset.mapping.columns import Columns


def sample_of(row: Mapping[str, Any], columns: Columns, layout: Layout | None) -> dict[str, Any]:
    """The keys of a `TestSample`; without an id if the row has none.

    Raises:
        ValueError: What is wrong with the row, and in which column.
    """
    draft = Draft(
        **{
            field: _value(source.label, source.read(row))
            for field, source in columns.sources.items()
        },
        metadata=_metadata(row, columns),
        parameters={name: _parameter(row[name]) for name in columns.parameters},
    )
    if layout is not None:
        LAYOUTS[layout].convert(draft)
    parts = {
        "id": draft.id if isinstance(draft.id, int) else draft.id and as_text(draft.id),
        "messages": _messages(draft, columns),
        "expected": draft.expected,
        "tags": as_tags(draft.tags),
        "metadata": draft.metadata,
        **draft.parameters,
    }
    return {key: value for key, value in parts.items() if value not in (None, [], {})}


def _value(label: str, cell: Any) -> Any:  # noqa: ANN401 - what a cell holds
    try:
        value = plain(cell)
    except ValueError as error:
        raise ValueError(f"{label} {error}") from error
    return None if is_empty(value) else value


def _parameter(cell: Any) -> Any:  # noqa: ANN401 - any JSON value
    found = from_json(cell, list | dict)
    return plain(cell) if found is None else found


def _metadata(row: Mapping[str, Any], columns: Columns) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name in columns.metadata:
        value = _value(f"column `{name}`", row[name])
        inner = from_json(value, dict) if name in columns.opened else None
        if inner is not None:
            kept |= inner
        elif value is not None:
            kept[name] = value
    return kept


def _messages(draft: Draft, columns: Columns) -> list[Any]:
    """The conversation, with the system text before it.

    Raises:
        ValueError: There is no question.
    """
    if draft.messages is not None:
        messages = as_messages(draft.messages, _label(columns, "messages"))
    elif draft.input is not None:
        messages = [{"role": "user", "content": as_text(draft.input)}]
    else:
        raise ValueError(f"{_label(columns, 'input', 'messages')} is empty: nothing to ask")
    if draft.system is not None:
        messages = [{"role": "system", "content": as_text(draft.system)}, *messages]
    return messages


def _label(columns: Columns, *fields: str) -> str:
    found = [columns.sources[field].label for field in fields if field in columns.sources]
    return found[0] if found else f"the {fields[0]}"
