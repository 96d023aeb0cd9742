from __future__ import annotations

import pytest

from lm_eval_so.runner.errors import (
    AuthenticationError,
    BackendError,
    BadRequestError,
    InternalServerError,
    NotFoundError,
    PermissionDeniedError,
    ProxyAuthenticationError,
    ProxyError,
    QuotaExceededError,
    RedirectError,
    TLSError,
    UnprocessableEntityError,
)
from lm_eval_so.runner.strategy.breaker.refusals import kind_of


def bad(message: str, code: object = None) -> BadRequestError:
    return BadRequestError(message, status_code=400, details={"code": code, "type": "invalid"})


@pytest.mark.parametrize(
    "error",
    [
        AuthenticationError("no", status_code=401),
        QuotaExceededError("no", status_code=402),
        QuotaExceededError("no", status_code=429),
        NotFoundError("no", status_code=404),
        BackendError("no", status_code=405),
        BackendError("no", status_code=407),
        ProxyAuthenticationError("no", status_code=407),
        *(
            InternalServerError("no", status_code=status, retryable=False)
            for status in (501, 505, 511)
        ),
        ProxyError("no"),
        ProxyError("no", status_code=403),
        TLSError("no"),
        RedirectError("no", status_code=301),
    ],
    ids=lambda error: f"{error.error_type}-{error.status_code}",
)
def test_no_sample_can_be_the_cause(error: BackendError) -> None:
    assert kind_of(error).of_the_setting


@pytest.mark.parametrize(
    "error",
    [
        bad("no"),
        UnprocessableEntityError("no", status_code=422),
        PermissionDeniedError("no", status_code=403),
        BackendError("no", status_code=413),
        BackendError("no"),
    ],
    ids=lambda error: f"{error.error_type}-{error.status_code}",
)
def test_a_sample_can_be_the_cause(error: BackendError) -> None:
    assert not kind_of(error).of_the_setting


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Unsupported parameter: 'max_tokens'", "Unsupported parameter: 'top_k'"),
        ('No model "a b"', 'No model "c"'),
        ("Unknown key `x`", "Unknown  key `y`\n"),
        ("request 17 refused", "request 4711 refused"),
        ("bad request (id req_8f3a-11)", "bad request (id req_77ab-29)"),
        ("Model Not Exist", "model not exist"),
    ],
)
def test_names_numbers_and_ids_make_no_difference(one: str, other: str) -> None:
    assert kind_of(bad(one)) == kind_of(bad(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (bad("too long"), bad("not allowed")),
        (bad("no", "a"), bad("no", "b")),
        (bad("no"), UnprocessableEntityError("no", status_code=422)),
        (BackendError("no", status_code=413), BackendError("no", status_code=414)),
        (AuthenticationError("no", status_code=401), NotFoundError("no", status_code=404)),
    ],
    ids=["words", "code", "class", "status", "settings"],
)
def test_other_words_or_classes_are_not_alike(one: BackendError, other: BackendError) -> None:
    assert kind_of(one) != kind_of(other)


def test_what_is_denied_needs_no_words_to_be_alike() -> None:
    one, other = (PermissionDeniedError(text, status_code=403) for text in ("flagged", "blocked"))
    assert kind_of(one) == kind_of(other)


def test_a_code_of_any_shape_is_taken() -> None:
    assert kind_of(bad("no", {"a": [1]})) == kind_of(bad("no", {"a": [1]}))
    assert hash(kind_of(bad("no", ["x"])))


@pytest.mark.parametrize("sign", ["x", "1", " ", "\n", "-", ".", "'", "x1", "'x", '"', "x "])
def test_a_message_takes_time_by_its_length_alone(sign: str) -> None:
    kind_of(bad(sign * (1_000_000 // len(sign))))
