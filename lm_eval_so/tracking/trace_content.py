"""What a trace says of a result, in the words that MLflow's UI and scorers read."""

from typing import Any

Result = dict[str, Any]
"""A line of the results file, of any schema version."""

_OF_SCORERS = {
    "expected_response",  # Correctness, Equivalence
    "expected_facts",  # Correctness, RetrievalSufficiency
    "expected_tool_calls",  # ToolCallCorrectness
    "expected_retrieved_context",
    "guidelines",  # ExpectationsGuidelines
    "expected_output",  # of Ragas, Phoenix and others
    "expected_outcome",  # of DeepEval
}


def inputs_of(result: Result) -> Result:
    """The request in the form of Chat Completions."""
    config = result["run_config"]
    return {
        "model": config["model"],
        "messages": result["request_messages"],
        **config["parameters"],
    }


def outputs_of(result: Result) -> Result:
    """The answer in the form of Chat Completions, which the UI shows as a conversation."""
    response = result["response"]
    if response is None:
        return {"error": result["error"]}
    raw = response.get("raw")
    if isinstance(raw, dict) and "choices" in raw:
        return raw
    answers = response.get("choices") or [response]
    return {"choices": [_choice(index, answer) for index, answer in enumerate(answers)]}


def expectations_of(result: Result) -> dict[str, Any]:
    """The sample's ``expected`` as MLflow's expectations, by name.

    A dict whose keys are those that scorers read gives one for each of its keys. A text or a number
    is the ``expected_response`` that Correctness and Equivalence compare with. What no built-in
    scorer reads, such as a list of allowed answers, is whole under ``expected``, for scorers of
    one's own.
    """
    expected = result["request_context"]["expected"]
    if expected is None:
        return {}
    if isinstance(expected, dict) and expected.keys() & _OF_SCORERS:
        return {name: value for name, value in expected.items() if value is not None}
    is_plain = isinstance(expected, str | int | float)
    return {"expected_response" if is_plain else "expected": expected}


def attributes_of(result: Result) -> Result:
    """Numbers and names of the root span.

    The UI's columns and sums are made of ``mlflow.*``; ``gen_ai.*`` are names of OpenTelemetry
    (https://opentelemetry.io/docs/specs/semconv/gen-ai/). Where there is a cost, MLflow does not
    put an estimate of its own there. How it splits into input and output is not known.
    """
    response = result["response"] or {}
    context, cost = result["request_context"], result.get("cost_usd")
    tokens = response.get("tokens") or {}
    usage = {
        "input_tokens": tokens.get("input"),
        "output_tokens": tokens.get("output"),
        "total_tokens": tokens.get("total"),
        "cache_read_input_tokens": tokens.get("cached"),
    }
    known = {
        "mlflow.chat.tokenUsage": _without_none(usage) or None,
        "mlflow.llm.model": response.get("model") or result["run_config"]["model"],
        "mlflow.llm.cost": None if cost is None else {"total_cost": cost},
        "gen_ai.response.model": response.get("model"),
        "gen_ai.response.finish_reasons": _finish_reasons(response) or None,
        "reasoning_tokens": tokens.get("reasoning"),
    }
    return {
        "latency_ms": result["latency_ms"],
        "expected": context["expected"],
        "metadata": context["sample_metadata"],
        "repeat": result.get("repeat", 0),
        "cost_usd": cost,
        **_without_none(known),
    }


def _choice(index: int, answer: Result) -> Result:
    message = {
        "role": "assistant",
        "content": answer["text"],
        **_without_none({key: answer.get(key) for key in ("reasoning", "tool_calls", "refusal")}),
    }
    return {"index": index, "message": message, "finish_reason": answer.get("finish_reason")}


def _finish_reasons(response: Result) -> list[str]:
    answers = response.get("choices") or [response]
    return [reason for answer in answers if (reason := answer.get("finish_reason"))]


def _without_none(values: Result) -> Result:
    return {key: value for key, value in values.items() if value is not None}
