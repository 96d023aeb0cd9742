"""Classifies a refusal by its words, where the status alone does not say what it means.

The words are those that servers were seen to send, in lower case; each line names who sends it.
They are looked for in the message of an error and in its code and type (``code:...``,
``type:...``).
"""

from typing import NamedTuple

from lm_eval_so.runner.backends.http.status import error_class
from lm_eval_so.runner.errors import BackendError, QuotaExceededError

_TOO_LONG = (
    "context_length_exceeded",  # OpenAI, Groq: a code
    "exceed_context_size_error",  # llama.cpp: a type
    "contextwindowexceedederror",  # LiteLLM, before the provider's message
    "string_above_max_length",  # OpenAI: a code
    "maximum context length",  # OpenAI, vLLM, OpenRouter, DeepSeek, Mistral
    "the model's context length",  # SGLang
    "available context size",  # llama.cpp
    "context limit",  # Anthropic: input length and `max_tokens` exceed context limit
    "context window exceeds",  # MiniMax
    "with context length of only",  # LM Studio
    "longer than the maximum model length",  # vLLM
    "maximum prompt length",  # xAI
    "prompt is too long",  # Anthropic
    "prompt too long",  # Ollama
    "input is too long",  # Bedrock
    "input tokens exceed",  # OpenAI
    "too many input tokens",  # Bedrock
    "input token count",  # Gemini: ... exceeds the maximum number of tokens allowed
    "reduce the length of",  # OpenAI, Groq, vLLM
    "reduce your message size",  # Groq
    "`inputs` must have less than",  # Text Generation Inference
    "`inputs` tokens + `max_new_tokens` must be",  # Text Generation Inference, Together
    "cannot exceed the model's maximum",  # Cohere
    "range of input length should be",  # DashScope
    "exceeded model token limit",  # Moonshot
)
_CONTENT = (
    "content_filter",  # Azure, Moonshot: a code, a type
    "responsibleaipolicyviolation",  # Azure: the code within innererror
    "content management policy",  # Azure
    "content_policy_violation",  # OpenAI: a code
    "code:bio_policy",  # OpenAI, of Responses
    "code:misalignment_policy_violation",
    "code:invalid_prompt",
    "contentpolicyviolationerror",  # LiteLLM, before the provider's message
    "moderation_blocked",  # OpenAI: a code
    "requires moderation",  # OpenRouter
    "content moderation",
    "code:moderation",
    "type:moderation",
    "safety system",  # OpenAI
    "was flagged",  # OpenAI (invalid_prompt), OpenRouter
    "flagged_input",  # OpenRouter: metadata of its 403
    "input flagged",
    "violating our usage policy",  # OpenAI
    "violates usage guidelines",  # xAI
    "safety_check",  # xAI
    "blocked by safety",
    "safety filter",
    "safety reasons",
    "prohibited_content",  # Gemini: a block reason
    "blocked by guardrail",  # Bedrock, LiteLLM
    "violated guardrail",  # LiteLLM
    "guardrail_intervened",  # Bedrock
    "data_inspection_failed",  # DashScope: a code
    "datainspectionfailed",
    "inappropriate content",  # DashScope
    "content exists risk",  # DeepSeek
    "considered high risk",  # Moonshot
    "new_sensitive",  # MiniMax: input new_sensitive, output new_sensitive
    "status_code:1026",  # MiniMax: the same as codes
    "status_code:1027",
    "不安全或敏感内容",  # Zhipu: unsafe or sensitive content
)
_MEDIA = (
    "image input",  # llama.cpp (as a 500), OpenRouter (as a 404), Ollama, Gemini
    "audio input",  # llama.cpp
    "file input",  # OpenRouter
    "unsupported image",  # OpenAI
    "unsupported_image",
    "invalid image",  # OpenAI, Ollama
    "invalid_image",  # OpenAI: invalid_image_url, invalid_image_format
    "image_parse_error",  # OpenAI: a code
    "image_too_large",  # OpenAI: a code
    "image_too_small",  # OpenAI, of Responses: codes
    "image_file_too_large",
    "empty_image_file",
    "failed_to_download_image",
    "image_file_not_found",
    "code:invalid_base64_image",
    "image_dimensions_too_large",  # Anthropic: a code
    "could not process image",  # Anthropic
    "process input image",  # Gemini
    "image exceeds",  # Anthropic
    "image does not match the provided media type",  # Anthropic
    "cannot identify image file",  # vLLM, by Pillow
    "failed to load image",  # vLLM
    "failed to download image",
    "image_url is only supported by",  # OpenAI
    "is not a multimodal model",  # vLLM
    "image(s) may be provided in one",  # vLLM
    "invalid base64",  # OpenAI, vLLM
    "invalid_base64",
    "invalid mime type",  # OpenAI
    "unsupported mime type",  # Gemini
    "unsupported file",  # OpenAI
    "unsupported_file",
    "invalid file data",  # OpenAI
    "invalid audio",
)
_SAMPLE = (*_TOO_LONG, *_CONTENT, *_MEDIA)

_SETTING = (
    "unsupported_parameter",  # OpenAI: a code
    "unknown_parameter",  # OpenAI: a code
    "unsupported parameter",
    "unrecognized request argument",  # OpenAI
    "extra inputs are not permitted",  # pydantic, so FastAPI, vLLM, Mistral
    "max_tokens is too large",  # OpenAI
    "'max_completion_tokens' is too large",  # vLLM
)
"""Words of a wrong setting: with them the rest of the message is no sign of a single sample."""

_SPENT = (
    "insufficient_quota",  # OpenAI: a code and a type
    "exceeded_current_quota_error",  # Moonshot: a type
    "exceeded your current quota",  # OpenAI
    "check your plan and billing",  # OpenAI, Moonshot
    "billing_not_active",  # OpenAI: a code
    "account is not active",  # OpenAI
    "billing_hard_limit_reached",  # OpenAI: a code
    "billing hard limit",
    "credit balance is too low",  # Anthropic, as a 400
    "spend_limit_reached",  # Anthropic, as a 429: a code, of a contract or an organisation
    "organization_on_hold",  # Anthropic, as a 400: a code
    "insufficient balance",  # DeepSeek
    "insufficient_balance",
    "insufficient credits",  # OpenRouter
    "used all available credits",  # xAI
    "doesn't have any credits",  # xAI
    "exceeded your monthly included credits",  # Hugging Face
    "key limit exceeded",  # OpenRouter: a key with a limit of its own
    "budget has been exceeded",  # LiteLLM
    "budget_exceeded",  # LiteLLM: a type
    "arrearage",  # DashScope: a code
    "freetieronly",  # DashScope: AllocationQuota.FreeTierOnly
    "api calls / month",  # Cohere, for its trial keys
    "余额不足",  # Zhipu: the balance is too low
)
_COMES_BACK = ("resource_exhausted", "retrydelay")
"""Of Gemini, whose limits by the minute say "exceeded your current quota, check your plan"."""

_LARGER_THAN_LIMIT = ("request too large", "must be reduced in order to run")
"""Of OpenAI: a 429 for a request that is larger than a whole minute's tokens."""

_BAD_REQUEST, _PAYMENT, _CONTENT_TOO_LARGE, _TOO_MANY = 400, 402, 413, 429
_FOR_GOOD = {501, 505, 511}
"""Statuses of a server that will not do it later either: not implemented, another version of HTTP,
a login to the network."""
_MAY_BE_SPENT = {400, 403, _TOO_MANY}
_MAY_BE_SAMPLE = {400, 403, 404, 422, 500}


class Reading(NamedTuple):
    """What a refusal comes to.

    Attributes:
        kind: The class that stands for it.
        sample_fault: Whether it is about this one sample.
        retryable: Whether the same request may succeed later.
    """

    kind: type[BackendError]
    sample_fault: bool
    retryable: bool


def classify(status_code: int, said: str) -> Reading:
    """What a status means together with the words of its body (any case).

    What is the fault of the sample is not tried again, whatever the status: the same question is
    as long, and shows the same image, the next time.
    """
    said = said.lower()
    kind = error_class(status_code)
    if status_code in _MAY_BE_SPENT and _any(_SPENT, said) and not _any(_COMES_BACK, said):
        kind = QuotaExceededError
    fault = kind is not QuotaExceededError and _about_the_sample(status_code, said)
    passes = kind.default_retryable and status_code not in _FOR_GOOD
    return Reading(kind, fault, passes and not fault)


def status_by_words(said: str) -> int | None:
    """The status that words (any case) would have come with; None where they tell none.

    It is for an error that came with a 200.
    """
    said = said.lower()
    if _any(_SPENT, said):
        return _TOO_MANY if _any(_COMES_BACK, said) else _PAYMENT
    return _BAD_REQUEST if _any(_SAMPLE, said) or _any(_SETTING, said) else None


def _about_the_sample(status_code: int, said: str) -> bool:
    if status_code == _TOO_MANY:
        return _any(_LARGER_THAN_LIMIT, said)
    if status_code == _CONTENT_TOO_LARGE:
        return True
    return status_code in _MAY_BE_SAMPLE and _any(_SAMPLE, said) and not _any(_SETTING, said)


def _any(words: tuple[str, ...], said: str) -> bool:
    return any(word in said for word in words)
