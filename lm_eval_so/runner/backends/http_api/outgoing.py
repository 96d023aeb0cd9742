"""A request of ours to what is sent: body, headers, address."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, urlencode

from lm_eval_so.runner.backends.http.header import header_fault
from lm_eval_so.runner.backends.http_api.body import encoded
from lm_eval_so.runner.backends.http_api.context import NAMES, SESSION, sample_fields, values_of
from lm_eval_so.runner.backends.http_api.environment import KEY, Target
from lm_eval_so.runner.backends.http_api.path import PathError
from lm_eval_so.runner.backends.http_api.template import Template, as_text
from lm_eval_so.runner.config.identity import sent
from lm_eval_so.runner.errors import BackendError, ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lm_eval_so.runner.backends.http_api.options import HttpOptions
    from lm_eval_so.runner.models import RunRequest, TestSample

_SAMPLE = "sample"
_ANY = "text/event-stream, application/json, text/plain;q=0.9, */*;q=0.8"
"""What is accepted where the answer is no JSON."""


class Parcel(NamedTuple):
    """What is sent.

    Attributes:
        body: Bytes.
        headers: Of this request alone.
        at: Where to; empty for the address of all.
    """

    body: bytes
    headers: dict[str, str]
    at: str

    def with_headers(self, more: Mapping[str, str]) -> Parcel:
        """The same with more headers."""
        return Parcel(self.body, {**self.headers, **more}, self.at)


class RequestMaker:
    """Makes what is sent from the config's templates, which it compiles once.

    Args:
        options: With the body.
        target: Where it goes.

    Raises:
        ConfigError: An expression is wrong.
    """

    def __init__(self, options: HttpOptions, target: Target) -> None:
        self._format = options.body_format
        takes_json = options.stream is None and options.answer != "text"
        own = {name.lower() for name in options.headers}
        self._accept = {} if takes_json or "accept" in own else {"Accept": _ANY}
        self._target = target
        self._body = Template(options.body, NAMES, f"{KEY}.body")
        templates = (self._body, target.path, target.query, target.headers)
        self._paths = [path for each in templates if each is not None for path in each.paths]
        self._names = {name for path in self._paths for name in path.begins_with}
        if self.uses_session and options.session is None:
            raise ConfigError(
                f"'session' in {KEY} needs {KEY}.session: new, or {{from: body.conversation_id}}"
            )

    @property
    def uses_session(self) -> bool:
        """Whether the bot is told a session."""
        return SESSION in self._names

    @property
    def uses_earlier_turns(self) -> bool:
        """Whether the bot is told more of a conversation than its last user turn."""
        return bool(self._names & {"messages", "history"})

    def of_sample(self, sample: TestSample) -> dict[str, Any]:
        """What of a sample is sent, beside its messages."""
        if _SAMPLE not in self._names:
            return {}
        fields = sample_fields(sample)
        looked_into: set[str] = set()
        for path in self._paths:
            if _SAMPLE in path.begins_with:
                some = path.fields_of(_SAMPLE)
                if some is None:
                    return fields
                looked_into |= some
        return {name: value for name, value in fields.items() if name in looked_into}

    def make(self, request: RunRequest, session: object) -> Parcel:
        """What is sent for a request.

        Raises:
            BackendError: It cannot be made of this sample.
        """
        params = {**sent(request.run_config.parameters), **request.parameters}
        values = values_of(request, self._names, params, session)
        try:
            body, kind = encoded(self._body(values), self._format)
            headers = self._accept if kind is None else {**self._accept, "Content-Type": kind}
            return Parcel(body, headers | self._headers(values), self._address(values))
        except (PathError, TypeError, UnicodeEncodeError) as error:
            message = f"the request cannot be made of this sample: {error}"
            raise BackendError(message, retryable=False, sample_fault=True) from error

    def _headers(self, values: Mapping[str, Any]) -> dict[str, str]:
        if self._target.headers is None:
            return {}
        headers = {name: as_text(value) for name, value in self._target.headers(values).items()}
        for name, value in headers.items():
            if fault := header_fault(name, value):
                raise PathError(f"the header {name} {fault}")
        return headers

    def _address(self, values: Mapping[str, Any]) -> str:
        target = self._target
        if target.path is None and target.query is None:
            return ""
        path = "" if target.path is None else target.path(values, _in_path)
        address = target.connection.url(path)
        if target.query is None:
            return address
        query = urlencode(list(_pairs(target.query(values))))
        return f"{address}{'&' if '?' in address else '?'}{query}"


def _in_path(value: object) -> str:
    return quote(as_text(value), safe="")


def _pairs(query: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        (name, as_text(item))
        for name, value in query.items()
        for item in (value if isinstance(value, list) else [value])
        if item is not None
    ]
