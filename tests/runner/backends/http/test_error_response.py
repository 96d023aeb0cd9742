from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_eval_so.runner.backends.http.error_response import (
    from_error_object,
    from_proxy,
    from_status,
    without_an_answer,
)
from lm_eval_so.runner.errors import InvalidResponseError

if TYPE_CHECKING:
    from lm_eval_so.runner.errors import BackendError


def refused(status: int, message: str = "no", **fields: object) -> BackendError:
    return from_status(status, {}, json.dumps({"error": {"message": message, **fields}}).encode())


def of_sample(status: int, message: str, **fields: object) -> Any:  # noqa: ANN401 - a mark
    return pytest.param(status, message, fields, id=f"{status}-{message[:30]}")


OPENROUTER = {"metadata": {"reasons": ["violence"], "flagged_input": "q0", "provider_name": "p"}}
RAW = {"metadata": {"raw": '{"error": "prompt is too long: 9 tokens > 8 maximum"}'}}
GEMINI = "You exceeded your current quota, please check your plan and billing details."
AZURE = {"code": "content_filter", "innererror": {"code": "ResponsibleAIPolicyViolation"}}


@pytest.mark.parametrize(
    ("status", "message", "fields"),
    [
        of_sample(400, "This model's maximum context length is 8 tokens. However, you ..."),
        of_sample(400, "too long", code="context_length_exceeded"),
        of_sample(400, "the request exceeds it", type="exceed_context_size_error"),
        of_sample(400, "prompt is too long: 212345 tokens > 200000 maximum"),
        of_sample(400, "The input token count (110) exceeds the maximum number of tokens"),
        of_sample(422, "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 9"),
        of_sample(500, "litellm.ContextWindowExceededError: Connection closed"),
        of_sample(413, "Request too large for model on tokens per minute"),
        of_sample(413, "anything"),
        of_sample(400, "Provider returned error", **RAW),
        of_sample(400, "The response was filtered", **AZURE),
        of_sample(400, "rejected", code="content_policy_violation"),
        of_sample(400, "refused", innererror={"code": "ResponsibleAIPolicyViolation"}),
        of_sample(400, "refused", type="moderation"),
        of_sample(400, "refused", code="moderation_blocked"),
        of_sample(400, "Invalid prompt: your prompt was flagged as potentially violating"),
        of_sample(403, "your input was flagged", code=403, **OPENROUTER),
        of_sample(403, "no", code=403, **OPENROUTER),
        of_sample(400, "Your request was rejected as a result of our safety system."),
        of_sample(400, "Content Exists Risk"),
        of_sample(400, "Input data may contain inappropriate content."),
        of_sample(500, "image input is not supported - hint: provide the mmproj"),
        of_sample(404, "No endpoints found that support image input"),
        of_sample(400, "Invalid base64 image data"),
        of_sample(400, "You uploaded an unsupported image."),
        of_sample(400, "audio input is not supported"),
        of_sample(400, "At most 0 image(s) may be provided in one prompt."),
        of_sample(
            429, "Request too large for gpt-4o on tokens per min (TPM): Limit 3, Requested 4"
        ),
    ],
)
def test_a_refusal_of_one_sample_says_nothing_about_the_setting(
    status: int, message: str, fields: dict[str, object]
) -> None:
    found = refused(status, message, **fields)
    assert found.sample_fault
    assert not found.retryable, "the same question is as long the next time"
    assert found.status_code == status


@pytest.mark.parametrize(
    ("status", "message", "fields"),
    [
        of_sample(400, "Model Not Exist", code="invalid_request_error"),
        of_sample(400, "Unsupported parameter: 'max_tokens'", code="unsupported_parameter"),
        of_sample(400, "Unknown parameter: 'moderation_blocked'.", code="unknown_parameter"),
        of_sample(400, "'max_tokens' or 'max_completion_tokens' is too large: 9. maximum context"),
        of_sample(422, "Extra inputs are not permitted"),
        of_sample(404, "The model `omni-moderation-latest` does not exist"),
        of_sample(401, "your prompt was flagged"),
        of_sample(403, "You have no access to this model"),
        of_sample(429, "Rate limit reached"),
        of_sample(503, "image input is being loaded"),
        of_sample(500, "Connection error."),
    ],
)
def test_other_refusals_may_be_the_setting_s(
    status: int, message: str, fields: dict[str, object]
) -> None:
    assert not refused(status, message, **fields).sample_fault


def test_what_is_quoted_of_the_question_is_no_word_of_the_server_s() -> None:
    quoted = {"input": "what is a context_length_exceeded?"}
    body = {"detail": [{"loc": ["body", "x"], "msg": "Extra inputs", **quoted}]}
    found = from_status(400, {}, json.dumps(body).encode())
    assert not found.sample_fault
    assert found.message == "body.x: Extra inputs"


@pytest.mark.parametrize(
    ("status", "message", "fields"),
    [
        of_sample(429, "spent", code="insufficient_quota"),
        of_sample(429, "spent", type="insufficient_quota"),
        of_sample(429, "You exceeded your current quota, please check your plan and billing"),
        of_sample(429, "suspended", type="exceeded_current_quota_error"),
        of_sample(429, "not active", type="billing_not_active", code="billing_not_active"),
        of_sample(400, "Billing hard limit has been reached", code="billing_hard_limit_reached"),
        of_sample(429, "Your account is not active, please check your billing details"),
        of_sample(400, "Your credit balance is too low to access the Anthropic API."),
        of_sample(403, "Key limit exceeded (total limit)."),
        of_sample(400, "Budget has been exceeded! Current cost: 3", type="budget_exceeded"),
        of_sample(402, "Insufficient Balance", code="invalid_request_error"),
        of_sample(402, "anything"),
    ],
)
def test_words_of_a_spent_quota_are_no_rate_limit(
    status: int, message: str, fields: dict[str, object]
) -> None:
    found = refused(status, message, **fields)
    assert (found.error_type, found.retryable) == ("QuotaExceededError", False)
    assert not found.sample_fault


@pytest.mark.parametrize(
    ("message", "fields"),
    [
        ("Quota exceeded. Please retry in 3s.", {"details": [{"retryDelay": "3s"}]}),
        (GEMINI, {"status": "RESOURCE_EXHAUSTED"}),
        (GEMINI, {"details": [{"@type": "RetryInfo", "retryDelay": "35s"}]}),
        ("litellm.RateLimitError: GeminiException - RESOURCE_EXHAUSTED current quota", {}),
        ("You are using a Trial key, which is limited to 10 API calls / minute", {}),
    ],
)
def test_a_limit_that_comes_back_is_a_rate_limit(message: str, fields: dict[str, object]) -> None:
    body = {"error": {"message": message, **fields}}
    found = from_status(429, {}, json.dumps(body).encode())
    assert (found.error_type, found.retryable) == ("RateLimitError", True)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ([{"error": {"code": 429, "message": "Quota exceeded."}}], "Quota exceeded."),
        ({"errors": [{"code": 7003, "message": "no route"}]}, "no route"),
        ({"error": "model is loading"}, "model is loading"),
        ({"statusCode": 400, "error": "Bad Request", "message": "why"}, "why"),
        ({"detail": "Not Found"}, "Not Found"),
        (
            {"detail": [{"msg": "field required"}, {"msg": "too short"}]},
            "field required; too short",
        ),
        ({"detail": {"message": "why"}}, "why"),
        ({"error": {"code": 5}}, '{"error": {"code": 5}}'),
        ({"error": {"message": {"en": "x"}}}, '{"error": {"message": {"en": "x"}}}'),
        ({"error": True}, '{"error": true}'),
        ({"error": {"code": 5}, "message": "why"}, "why"),
        ({"error": {"message": ["one", "two"]}}, "one; two"),
        ({"Message": "of AWS", "__type": "X"}, "of AWS"),
        ({"Error": {"Code": "X", "Message": "of AWS"}}, "of AWS"),
        ({"errorMessage": "of Lambda", "errorType": "X"}, "of Lambda"),
        ({"error_code": 18, "error_msg": "of Baidu"}, "of Baidu"),
        ({"err_code": 18, "err_msg": "no room"}, "no room"),
        ({"errcode": 18, "errmsg": "no room"}, "no room"),
        ({"resultCode": "1", "resultMsg": "no room"}, "no room"),
        ({"status": {"code": "40003", "message": "of CLOVA"}, "result": None}, "of CLOVA"),
        ({"fault": {"faultstring": "of Apigee", "detail": {"errorcode": "x"}}}, "of Apigee"),
        ({"base_resp": {"status_code": 1004, "status_msg": "of MiniMax"}}, "of MiniMax"),
        ({"ok": False, "error_code": 400, "description": "of Telegram"}, "of Telegram"),
        ({"type": "about:blank", "title": "a title", "status": 400}, "a title"),
        ({"title": "a title", "status": 400, "detail": "why"}, "a title: why"),
        ({"title": "Wrong.", "errors": {"$": ["no JSON"]}}, "Wrong: $: no JSON"),
        ({"errors": ["one", "two"]}, "one; two"),
        ({"errors": {"name": ["is empty", "is short"]}}, "name: is empty; is short"),
        ({"error": "invalid_scope", "error_description": "why"}, "invalid_scope: why"),
        ({"error": "Bad Request", "details": "why"}, "Bad Request: why"),
        ({"error": "Bad Request", "detail": "why"}, "Bad Request: why"),
        ({"error": "same", "detail": "same"}, "same"),
        ({"error": {"message": '{"error": {"message": "inner"}}'}}, "inner"),
        ({"error": '{"detail": "inner"}'}, "inner"),
        ({"error": {"message": "{not JSON}"}}, "{not JSON}"),
        ('{"error": "JSON in JSON"}', "JSON in JSON"),
        ({"error": {"message": "no", "innererror": {"message": "why"}}}, "no: why"),
        ({"error": {"message": "no", "metadata": {"raw": "why"}}}, "no: why"),
        ({"error": {"message": "no", "metadata": {"raw": '{"error": "why"}'}}}, "no: why"),
        ({"error": {"message": "no: why", "metadata": {"raw": "why"}}}, "no: why"),
        (
            {"error": {"message": "first\nReceived Model Group=m\r\n\tend"}},
            "first Received Model Group=m end",
        ),
        ([], "[]"),
    ],
    ids=str,
)
def test_the_message_is_the_sentence_in_the_body(body: object, message: str) -> None:
    assert from_status(500, {}, json.dumps(body).encode()).message == message


@pytest.mark.parametrize(
    "body", [b"Traceback:\n  File x\nError: why\n", b'"Traceback: \\n File x Error: why"']
)
def test_a_message_is_one_line(body: bytes) -> None:
    assert from_status(500, {}, body).message == "Traceback: File x Error: why"


@pytest.mark.parametrize("inside", ["message", "detail", "error"])
def test_a_list_of_faults_is_told_without_what_was_sent(inside: str) -> None:
    faults = [
        {"loc": ["body", "x", 0], "msg": "Extra inputs", "input": "what is a content_filter?"}
    ]
    found = from_status(
        422, {}, json.dumps({inside: {"detail": faults}, "object": "error"}).encode()
    )
    assert found.message == "body.x.0: Extra inputs"
    assert not found.sample_fault


def test_what_a_provider_behind_a_gateway_says_counts() -> None:
    raw = {"metadata": {"raw": '{"error": {"message": "no", "code": "insufficient_quota"}}'}}
    found = refused(429, "Provider returned error", **raw)
    assert (found.error_type, found.message) == (
        "QuotaExceededError",
        "Provider returned error: no",
    )
    quoted = '{"error": {"message": "no", "code": "context_length_exceeded"}}'
    assert refused(400, quoted).sample_fault


@pytest.mark.parametrize("status", [501, 505, 511])
def test_what_a_server_will_never_do_is_not_tried_again(status: int) -> None:
    found = refused(status)
    assert (found.error_type, found.retryable) == ("InternalServerError", False)


def told(fields: dict[str, Any], **beside: object) -> tuple[str, int | None, bool, bool]:
    found = from_error_object(fields)
    body = {"base_resp": fields} if beside.get("base_resp") else fields
    fault = InvalidResponseError("no answer", status_code=200)
    in_a_body = without_an_answer(fault, body)
    assert (type(in_a_body), in_a_body.retryable) == (type(found), found.retryable)
    return found.error_type, found.status_code, found.retryable, found.sample_fault


@pytest.mark.parametrize(
    ("number", "kind", "status"),
    [
        (1002, "RateLimitError", 429),
        (1004, "AuthenticationError", 401),
        (2049, "AuthenticationError", 401),
        (1008, "QuotaExceededError", 402),
        (1026, "BadRequestError", 400),
        (1033, "InvalidResponseError", 200),
    ],
)
def test_numbers_of_minimax_in_a_200_are_understood(number: int, kind: str, status: int) -> None:
    fields = {"status_code": number, "status_msg": "no"}
    assert told(fields, base_resp=True) == (
        kind,
        status,
        kind in ("RateLimitError", "InvalidResponseError"),
        number == 1026,
    )


SPENT = ("QuotaExceededError", 402, False, False)
OF_SAMPLE = ("BadRequestError", 400, False, True)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"message": GEMINI}, SPENT),
        ({"code": "Arrearage", "message": "no"}, SPENT),
        ({"code": "AllocationQuota.FreeTierOnly", "message": "no"}, SPENT),
        ({"message": GEMINI, "status": "RESOURCE_EXHAUSTED"}, ("RateLimitError", 429, True, False)),
        (
            {"message": GEMINI, "details": [{"retryDelay": "3s"}]},
            ("RateLimitError", 429, True, False),
        ),
        ({"message": "This model's maximum context length is 8 tokens"}, OF_SAMPLE),
        ({"message": "no", "metadata": {"raw": "prompt is too long: 9 tokens"}}, OF_SAMPLE),
        ({"code": "DataInspectionFailed", "message": "no"}, OF_SAMPLE),
        ({"error_msg": "prompt is too long: 9 tokens > 8 maximum"}, OF_SAMPLE),
        ({"message": "Extra inputs are not permitted"}, ("BadRequestError", 400, False, False)),
        (
            {"message": "no", "http_status_code": 422},
            ("UnprocessableEntityError", 422, False, False),
        ),
        ({"code": "InvalidApiKey", "message": "no"}, ("AuthenticationError", 401, False, False)),
        ({"code": "Throttling.RateQuota", "message": "no"}, ("RateLimitError", 429, True, False)),
        ({"error_code": 18, "error_msg": "no room"}, ("InvalidResponseError", 200, True, False)),
        ({"message": "boom"}, ("InvalidResponseError", 200, True, False)),
    ],
    ids=str,
)
def test_what_is_understood_with_a_status_is_so_in_a_200(
    fields: dict[str, Any], expected: tuple[str, int, bool, bool]
) -> None:
    assert told(fields) == expected


def test_what_a_200_without_an_answer_says_is_told() -> None:
    fault = InvalidResponseError("no choices", status_code=200)
    found = without_an_answer(fault, {"error_code": 18, "error_msg": "no\nroom"})
    assert found.message == "no choices, but: no room"
    of_another_api = {"message": {"role": "assistant", "content": "the maximum context length"}}
    assert without_an_answer(fault, of_another_api) is fault


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "the server told an error without words"),
        ({"message": ""}, "the server told an error without words"),
        ({"code": None, "message": None}, "the server told an error without words"),
        ({"code": 5}, '{"code":5}'),
        ({"message": {"detail": "why"}}, "why"),
    ],
)
def test_an_error_without_a_sentence_shows_what_there_is(
    fields: dict[str, Any], message: str
) -> None:
    assert from_error_object(fields).message == message


def test_a_proxy_that_wants_a_name_is_told_as_such() -> None:
    page = b"<html><head><title>ERROR: Cache Access Denied</title></head><body>x</body></html>"
    for found in (from_status(407, {}, page), from_proxy(407, "Proxy Authentication Required")):
        assert (found.error_type, found.retryable) == ("ProxyAuthenticationError", False)
        assert "the proxy asks for a user name and a password" in found.message


def test_a_proxy_that_cannot_reach_the_server_is_a_server_error() -> None:
    found = from_proxy(503, "Service Unavailable")
    assert (found.error_type, found.status_code) == ("InternalServerError", 503)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["error", "errors", "message", "detail", "loc", "code", "metadata", "raw", "title"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON, st.sampled_from([400, 403, 429, 500, 503]))
def test_no_shape_of_a_body_can_break_a_run(body: object, status: int) -> None:
    found = from_status(status, {}, json.dumps(body).encode())
    assert found.status_code == status
    assert found.message
    assert from_error_object({"message": body}).message


@pytest.mark.parametrize("name", ["error", "message", "detail", "innererror", "errors"])
def test_no_depth_of_a_body_can_break_a_run(name: str) -> None:
    deep = b'{"%b": ' % name.encode() * 900 + b"1" + b"}" * 900
    lists = b"[" * 900 + b"]" * 900
    quoted: object = "end"
    for _ in range(8):
        quoted = json.dumps({name: quoted})
    for body in (deep, lists, json.dumps(quoted).encode()):
        assert from_status(400, {}, body).message
