"""Reads an answer by the paths of the config; what they do not find is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from lm_eval_so.runner.backends.base import Finding
from lm_eval_so.runner.backends.http.error_response import (
    from_error_object,
    from_status,
    without_an_answer,
)
from lm_eval_so.runner.backends.http.header import request_id
from lm_eval_so.runner.backends.http.json_body import invalid_body, read_json
from lm_eval_so.runner.backends.http.no_error import tells_no_error
from lm_eval_so.runner.backends.http.web_page import page_words
from lm_eval_so.runner.backends.http_api.environment import KEY
from lm_eval_so.runner.backends.http_api.fields import Fields
from lm_eval_so.runner.backends.http_api.incoming import BODY, NAMES, TEXT, values_of
from lm_eval_so.runner.backends.http_api.path import Path, PathError, step_into
from lm_eval_so.runner.backends.http_api.template import as_text
from lm_eval_so.runner.errors import BackendError, InvalidResponseError
from lm_eval_so.runner.models import ChatResponse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lm_eval_so.runner.backends.http.response_body import Answer
    from lm_eval_so.runner.backends.http_api.options import HttpOptions

_SUCCESS = range(200, 300)
_PAGE = ("<!doctype html", "<html")
_MOST_NAMED = 12  # keys of an object
_LONGEST_SHOWN = 60  # characters


class Told(NamedTuple):
    """An answer, and the session that it tells; None where it tells none."""

    response: ChatResponse
    session: Any = None


class AnswerReader:
    """Reads answers.

    Args:
        options: With the paths, which are compiled once.

    Raises:
        ConfigError: A path is wrong.
    """

    def __init__(self, options: HttpOptions) -> None:
        def path(name: str) -> Path | None:
            expression = getattr(options, name)
            return None if expression is None else Path(expression, NAMES, f"{KEY}.{name}")

        self._accepted = frozenset(options.ok_status)
        self._answer = path("answer")
        self._retry_when = path("retry_when")
        self._error = path("error")
        self.fields = Fields(options, NAMES)
        named = [self._answer, *self.fields.paths]
        self._names = {name for each in named if each is not None for name in each.begins_with}
        self._is_json = BODY in self._names
        if "error" not in options.model_fields_set and not self._is_json:
            self._error = None  # the answer is text, and nobody said that it may be JSON
        if self._error is not None:
            self._names |= self._error.begins_with

    def check(self, answer: Answer) -> None:
        """Looks at the status.

        Raises:
            BackendError: It is that of no answer, or ``retry_when`` says so.
        """
        again = self._retry_when is not None and bool(
            _found(self._retry_when, values_of(answer, self._retry_when.begins_with))
        )
        accepted = self.accepts(answer.status)
        if accepted and not again:
            return
        error = from_status(*answer)
        if accepted:
            error = InvalidResponseError(
                f"{KEY}.retry_when holds for this answer", status_code=answer.status
            )
        error.retryable = error.retryable or again
        raise error

    def values(self, answer: Answer) -> dict[str, Any]:
        """What the paths look into.

        Raises:
            InvalidResponseError: The body is no JSON, in which the answer or what stands beside
                it is; where an error alone may be in it, it may be anything.
        """
        values = values_of(answer, self._names - {BODY} if self._is_json else self._names)
        if self._is_json:
            values[BODY] = read_json(answer.body)
        elif TEXT in self._names:
            _check_text(values[TEXT])
        return values

    def accepts(self, status: int) -> bool:
        """Whether a status is that of an answer."""
        return status in _SUCCESS or status in self._accepted

    def read(self, answer: Answer) -> Told:
        """The answer as a value, and its session.

        Raises:
            BackendError: It is none, or tells of an error.
        """
        self.check(answer)
        values = self.values(answer)
        told = None if self._error is None else _found(self._error, values)
        assert self._answer is not None  # noqa: S101 - else it is a stream
        found = None if told and not tells_no_error(told) else _found(self._answer, values)
        if told and found is None:
            raise error_of(told)
        response = ChatResponse(
            text=self._text(found, values),
            request_id=self._request_id(answer, values),
            **self.fields.read(values, _found),
            status_code=answer.status,
            headers=answer.headers,
            raw=values[BODY] if self._is_json else values.get(TEXT),
        )
        path = self.fields.session
        return Told(response, None if path is None else _found(path, values))

    def findings(self, answer: Answer) -> list[Finding]:
        """What each path finds, for a person; an answer of any kind will do."""
        values = values_of(answer, self._names)
        paths = [self._answer, self._error, self._retry_when, *self.fields.paths]
        found = [Finding("status", answer.status)]
        for path in paths:
            if path is not None:
                looked = (
                    values if path is not self._retry_when else values_of(answer, path.begins_with)
                )
                try:
                    value = path(looked)
                except PathError as error:
                    value = f"({error})"
                name = path.key.removeprefix(f"{KEY}.")
                found.append(Finding(f"{name} ({path.expression})", value))
        return found

    def _request_id(self, answer: Answer, values: Mapping[str, Any]) -> str | None:
        path = self.fields.request_id
        told = None if path is None else _found(path, values)
        return request_id(answer.headers) if told is None else as_text(told)

    def _text(self, found: Any, values: Mapping[str, Any]) -> str:  # noqa: ANN401 - JSON
        if found is None:
            raise self._missing(values)
        if isinstance(found, dict | list):
            message = (
                f"{KEY}.answer ({self._expression}) found {_shape(found)}, and no text; "
                "name what is in it, or join texts: join('\\n', PATH)"
            )
            raise _final(invalid_body(message, found))
        return as_text(found)

    def _missing(self, values: Mapping[str, Any]) -> BackendError:
        assert self._answer is not None  # noqa: S101 - it was looked for
        message = (
            f"{KEY}.answer ({self._expression}) found nothing; {_instead(self._answer, values)}"
        )
        body = values.get(BODY, values.get(TEXT))
        fault = without_an_answer(invalid_body(message, body), body)
        return _final(fault) if type(fault) is InvalidResponseError else fault

    @property
    def _expression(self) -> str:
        return "" if self._answer is None else self._answer.expression


def error_of(told: Any) -> BackendError:  # noqa: ANN401 - JSON
    """The error of ours for what ``error`` found."""
    fields = told if isinstance(told, dict) else {"message": as_text(told)}
    return from_error_object(fields)


def _final(error: BackendError) -> BackendError:
    """The same, not to be tried again: a path that finds nothing is mostly the config's fault."""
    error.retryable = False
    return error


def _found(path: Path, values: Mapping[str, Any]) -> Any:  # noqa: ANN401 - JSON
    """What a path finds.

    Raises:
        InvalidResponseError: Its functions do not take what is there.
    """
    try:
        return path(values)
    except PathError as error:
        raise _final(invalid_body(str(error), values.get(BODY))) from error


def _check_text(text: str) -> None:
    """Raises InvalidResponseError for nothing at all, and for a page."""
    if not text.strip():
        raise invalid_body("the answer cannot be read: nothing at all", text)
    if is_web_page(text):
        raise invalid_body(f"the answer cannot be read: a web page: {page_words(text)}", text)


def is_web_page(text: str) -> bool:
    """Whether text is a whole page; a bot may well answer in HTML."""
    return text.lstrip("\ufeff \t\r\n")[: len(_PAGE[0])].lower().startswith(_PAGE)


def _instead(path: Path, values: Mapping[str, Any]) -> str:
    """How far a plain path leads, and what is there: ``body.data has: id, message``."""
    at, value = "", dict(values)
    for step in path.steps or [next(iter(path.begins_with), BODY)]:
        deeper = step_into(value, step)
        if deeper is None:
            break
        value = deeper
        at += f"[{step}]" if isinstance(step, int) else f"{'.' * bool(at)}{step}"
    return f"{at} is {_shape(value)}" if at else f"there is {_shape(value)}"


def _shape(value: Any) -> str:  # noqa: ANN401 - JSON
    match value:
        case dict():
            names = [*map(str, value)]
            more = ", ..." if len(names) > _MOST_NAMED else ""
            return f"an object with {', '.join(names[:_MOST_NAMED]) or 'nothing'}{more}"
        case list():
            return f"a list of {len(value)}"
        case str():
            return f"the text {value[:_LONGEST_SHOWN]!r}"
    return as_text(value) or "null"
