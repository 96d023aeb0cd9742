"""JSONL for OpenAI's Evals API, and for what has taken over its shape.

A line is ``SourceFileContentContent`` of the SDK (``openai.types.evals``): ``item``, and ``sample``
where there is one. The names in ``sample`` are those that a grader can use, by OpenAI's guide to
graders: ``output_text``, ``output_tools``, ``choices``.
"""

from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

from lm_eval_so.report.export.cell import Cell
from lm_eval_so.report.export.export import Export, as_text, to_json
from lm_eval_so.runner.models import AnswerChoice, ChatResponse, RunResult


def write(export: Export, file: BinaryIO) -> None:
    """Writes a line for each result; a failed one has its error in ``item``, and no ``sample``."""
    file.writelines(f"{to_json(line)}\n".encode(errors="replace") for line in _lines(export))


def _lines(export: Export) -> Iterator[dict[str, Any]]:
    for cell in export.cells:
        for result in export.results(cell):
            item = _item(export, cell, result)
            answer = result.response
            yield {"item": item, "sample": _sample(answer)} if answer else {"item": item}


def _item(export: Export, cell: Cell, result: RunResult) -> dict[str, Any]:
    """``expected`` is text, since graders compare texts."""
    context, error = result.request_context, result.error
    return {
        "id": result.sample_id,
        "repeat": result.repeat,
        "cell": cell.name,
        "input": result.request_messages,
        "expected": None if context.expected is None else as_text(context.expected),
        "tags": context.sample_tags,
        "metadata": context.sample_metadata,
        "status": result.status,
        "error": error and f"{error.error_type}: {error.message}",
        "request_key": result.request_key,
        "scores": export.scores_of(cell, result),
    }


def _sample(answer: ChatResponse) -> dict[str, Any]:
    choices: Sequence[AnswerChoice | ChatResponse] = answer.choices or (answer,)
    tokens = answer.tokens
    return {
        "output_text": answer.text,
        "output_tools": answer.tool_calls or [],
        "choices": [_choice(number, choice) for number, choice in enumerate(choices)],
        "model": answer.model,
        "finish_reason": answer.finish_reason,
        "usage": tokens
        and {
            "prompt_tokens": tokens.input,
            "completion_tokens": tokens.output,
            "total_tokens": tokens.total,
        },
    }


def _choice(number: int, choice: AnswerChoice | ChatResponse) -> dict[str, Any]:
    return {
        "index": number,
        "finish_reason": choice.finish_reason,
        "message": {
            "role": "assistant",
            "content": choice.text,
            "refusal": choice.refusal,
            "tool_calls": choice.tool_calls or [],
        },
    }
