"""Error codes in the body of a 200, and the HTTP status that each stands for."""

from __future__ import annotations

from typing import Any

from lm_eval_so.runner.backends.http.error_sentence import plain_name

_NAMES = {
    "rate_limit_exceeded": 429,  # OpenAI: a code
    "rate_limit_error": 429,  # Anthropic: a type
    "ratelimiterror": 429,  # LiteLLM: a type
    "too_many_requests": 429,
    "throttling": 429,  # DashScope: Throttling.RateQuota and others
    "throttling_exception": 429,  # AWS
    "resource_exhausted": 429,  # Gemini: a status
    "insufficient_quota": 429,  # OpenAI: a code and a type
    "overloaded_error": 529,  # Anthropic: a type
    "overloaded": 529,
    "service_unavailable": 503,
    "unavailable": 503,  # Gemini: a status
    "invalid_request_error": 400,  # OpenAI, Anthropic: a type
    "badrequesterror": 400,  # vLLM, LiteLLM: a type
    "invalid_argument": 400,  # Gemini: a status
    "invalid_parameter": 400,  # DashScope: a code
    "context_length_exceeded": 400,  # OpenAI: a code
    "content_filter": 400,  # Azure: a code
    "content_policy_violation": 400,  # OpenAI: a code
    "invalid_prompt": 400,  # OpenAI, of Responses: codes
    "bio_policy": 400,
    "misalignment_policy_violation": 400,
    "invalid_image": 400,
    "invalid_image_format": 400,
    "invalid_base64_image": 400,
    "invalid_image_url": 400,
    "invalid_image_mode": 400,
    "image_too_large": 400,
    "image_too_small": 400,
    "image_parse_error": 400,
    "image_content_policy_violation": 400,
    "image_file_too_large": 400,
    "unsupported_image_media_type": 400,
    "empty_image_file": 400,
    "failed_to_download_image": 400,
    "image_file_not_found": 400,
    "invalid_api_key": 401,  # OpenAI, DashScope: a code
    "billing_error": 402,  # Anthropic: a type
    "authentication_error": 401,  # Anthropic: a type
    "unauthenticated": 401,  # Gemini: a status
    "access_denied": 403,  # DashScope: a code
    "permission_error": 403,  # Anthropic: a type
    "permission_denied": 403,  # Gemini: a status
    "model_not_found": 404,  # OpenAI: a code
    "not_found_error": 404,  # Anthropic: a type
    "request_too_large": 413,  # Anthropic: a type
}
"""Those alone that ask for another treatment than a fault of the server does, which is the rule for
an error in a 200: it is tried again."""
_BY_NAME = {plain_name(name): status for name, status in _NAMES.items()}
_OF_MINIMAX = {
    1002: 429,  # requests a minute
    1004: 401,  # no key, or a wrong one
    1008: 402,  # no balance
    1026: 400,  # the question's content
    1027: 400,  # the answer's content
    1039: 429,  # tokens a minute
    2013: 400,  # a wrong parameter
    2049: 401,  # a wrong key
}
"""MiniMax's own numbers, in ``base_resp.status_code``."""

_STATUSES = range(100, 600)
_OK = 200
_FIELDS = ("code", "status", "status_code", "http_status_code", "type")
"""In the order in which they are believed; the fourth is Text Generation Inference's."""


def status_by_code(fields: dict[str, Any]) -> int | None:
    """The status that an error's fields name, by number or by name; None where they name none."""
    if own := _own_number(fields.get("status_code")):
        return own
    found = (_status(fields.get(name)) for name in _FIELDS)
    return next((status for status in found if status is not None), None)


def _own_number(code: object) -> int | None:
    return _OF_MINIMAX.get(code) if isinstance(code, int) else None


def _status(code: object) -> int | None:
    if isinstance(code, str):
        code = (
            int(code)
            if code.isdecimal() and len(code) == len("500")
            else _BY_NAME.get(plain_name(code.partition(".")[0]))
        )
    if not isinstance(code, int) or isinstance(code, bool):
        return None
    return code if code in _STATUSES and code > _OK else None
