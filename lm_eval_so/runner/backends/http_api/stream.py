"""An answer that comes in pieces: events, lines of JSON, or text."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING, Any

from lm_eval_so.runner.backends.http.error_response import without_an_answer
from lm_eval_so.runner.backends.http.header import request_id
from lm_eval_so.runner.backends.http.json_body import invalid_body, read_json, read_piece
from lm_eval_so.runner.backends.http.no_error import tells_no_error
from lm_eval_so.runner.backends.http.sse import Event, EventReader
from lm_eval_so.runner.backends.http.web_page import page_words
from lm_eval_so.runner.backends.http_api.answer import error_of, is_web_page
from lm_eval_so.runner.backends.http_api.environment import KEY
from lm_eval_so.runner.backends.http_api.fields import Fields
from lm_eval_so.runner.backends.http_api.incoming import BODY
from lm_eval_so.runner.backends.http_api.path import Path, PathError
from lm_eval_so.runner.backends.http_api.template import as_text
from lm_eval_so.runner.backends.wires.stream import described_error
from lm_eval_so.runner.errors import BackendError, InvalidResponseError
from lm_eval_so.runner.models import ChatResponse
from lm_eval_so.runner.text.sanitise import sanitise_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lm_eval_so.runner.backends.http_api.options import HttpOptions, StreamOptions

_EVENT_NAMES = frozenset({"event", "data"})
_DONE = "[DONE]"
_ERROR = "error"
_TORN = ("{", "[{")
"""Starts of JSON, and not of a word in brackets, as some servers send beside the answer."""
_OK = 200
_LONGEST_KEPT = 4000  # bytes of what is no stream, for its error


class StreamPaths:
    """The paths of a stream, compiled once.

    Args:
        options: Of the backend, with ``stream``.
        stream: The same ``stream``.

    Raises:
        ConfigError: A path is wrong.
    """

    def __init__(self, options: HttpOptions, stream: StreamOptions) -> None:
        def path(expression: str | None, name: str) -> Path | None:
            key = f"{KEY}.stream.{name}"
            return None if expression is None else Path(expression, _EVENT_NAMES, key)

        self.format = stream.format
        self.delta = Path(stream.delta, _EVENT_NAMES, f"{KEY}.stream.delta")
        self.done = path(stream.done, "done")
        self.error = path(stream.error, "error")
        self.fields = Fields(options, {BODY})


class Assembly:
    """Puts one answer together.

    Args:
        paths: Where things are.

    Attributes:
        done: Whether the last event has come.
        first_ms: When the first text came, after the request left.
    """

    def __init__(self, paths: StreamPaths) -> None:
        self._paths = paths
        self._events = EventReader()
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
        self._line = b""
        self._start = b""
        self._texts: list[str] = []
        self._raw: list[Any] = []
        self._found: dict[str, Any] = {}
        self.session: Any = None
        self.done = False
        self.first_ms: float | None = None
        self._delta_seen = False

    def feed(self, piece: bytes, elapsed_ms: float) -> None:
        """Takes in what came so many milliseconds after the request left.

        Raises:
            BackendError: It tells of an error, or cannot be read.
        """
        if len(self._start) < _LONGEST_KEPT:
            self._start += piece[:_LONGEST_KEPT]
        if self._paths.format == "text":
            self._add(self._decoder.decode(piece), elapsed_ms)
        elif self._paths.format == "sse":
            self._take(self._events.feed(piece), elapsed_ms)
        else:
            *lines, self._line = (self._line + piece).split(b"\n")
            self._take(map(_of_line, lines), elapsed_ms)

    def response(self, status: int, headers: Mapping[str, str], elapsed_ms: float) -> ChatResponse:
        """The whole answer.

        Raises:
            BackendError: It was cut, or there is none.
        """
        if not self.done:
            self._end(elapsed_ms)
        self._check_stray()
        if self._raw and self._paths.done is not None and not self.done:
            raise InvalidResponseError("the stream ended before the answer did", status_code=_OK)
        if not self._delta_seen:
            raise self._nothing()
        is_text = self._paths.format == "text"
        return ChatResponse(
            text=sanitise_text("".join(self._texts)),
            **{"request_id": request_id(headers), **self._found},
            status_code=status,
            headers=headers,
            raw="".join(self._texts) if is_text else self._raw,
            time_to_first_token_ms=self.first_ms,
            time_to_first_answer_token_ms=self.first_ms,
        )

    def _end(self, elapsed_ms: float) -> None:
        if self._paths.format == "text":
            if is_web_page(text := self._start.decode(errors="replace")):
                raise invalid_body(
                    f"the answer cannot be read: a web page: {page_words(text)}", text
                )
            self._add(self._decoder.decode(b"", final=True), elapsed_ms)
        elif self._paths.format == "sse":
            self._take(self._events.rest(), elapsed_ms)
        else:
            self._take([_of_line(self._line)], elapsed_ms)

    def _take(self, events: Iterable[Event], elapsed_ms: float) -> None:
        for name, lines in events:
            for data in _data_of(lines):
                if not self.done:
                    self._take_data(name.decode(errors="replace"), data, elapsed_ms)

    def _take_data(self, name: str, data: Any, elapsed_ms: float) -> None:  # noqa: ANN401 - JSON
        if _is_end(data):
            self.done = True
            return
        event = {"event": name, "data": data}
        self._raw.append(data)
        self._check(event)
        delta = _look(self._paths.delta, event)
        if _is_text(delta):
            self._add(delta, elapsed_ms)
        elif isinstance(data, str) and data.lstrip().startswith(_TORN):
            raise invalid_body("the answer cannot be read: no JSON in the stream", data)
        self._note(data)
        self.done = bool(_look(self._paths.done, event))

    def _check(self, event: dict[str, Any]) -> None:
        """Raises the error that an event tells, by the path or by its name."""
        if self._paths.error is None:
            return
        told = _look(self._paths.error, event)
        if told and not tells_no_error(told):
            raise error_of(told)
        if event["event"].lower() == _ERROR:
            raise described_error(event["data"])

    def _check_stray(self) -> None:
        """Raises the error of a line between the events, as of a gateway."""
        stray = _json_or_text(self._events.stray)
        told = stray.get("error") if isinstance(stray, dict) else None
        if self._paths.error is not None and told and not tells_no_error(told):
            raise error_of(told)

    def _add(self, delta: Any, elapsed_ms: float) -> None:  # noqa: ANN401 - JSON
        self._delta_seen = True
        if text := as_text(delta):
            self.first_ms = round(elapsed_ms, 3) if self.first_ms is None else self.first_ms
            self._texts.append(text)

    def _note(self, data: Any) -> None:  # noqa: ANN401 - JSON
        """The newest of each field counts."""
        values, fields = {BODY: data}, self._paths.fields
        told = {name: each for name, each in fields.read(values, _look).items() if each is not None}
        if fields.request_id is not None and (found := _look(fields.request_id, values)):
            told["request_id"] = as_text(found)
        if fields.session is not None:
            self.session = _look(fields.session, values) or self.session
        self._found |= told

    def _nothing(self) -> BackendError:
        """What to raise for a body without any text; it may be no stream at all."""
        if self._raw:
            message = f"{KEY}.stream.delta ({self._paths.delta.expression}) found nothing"
            fault = invalid_body(f"{message} in {len(self._raw)} events", self._raw[:3])
            fault.retryable = False
            return fault
        stray = self._events.stray
        body = read_json(stray or self._start, "the answer is no stream")
        return without_an_answer(invalid_body("the answer is no stream", body), body)


def _look(path: Path | None, values: Mapping[str, Any]) -> Any:  # noqa: ANN401 - JSON
    """What a path finds; nothing where its functions do not take what is there."""
    if path is None:
        return None
    try:
        return path(values)
    except PathError as error:
        raise InvalidResponseError(str(error), status_code=_OK, retryable=False) from error


def _of_line(line: bytes) -> Event:
    """A line of JSON as an event, which has no name; an empty one as an event without data."""
    line = line.strip()
    return Event(b"", [line] if line else [])


def _data_of(lines: list[bytes]) -> list[Any]:
    """What an event holds: one thing, or one in each line where the empty lines are missing."""
    if not lines:
        return []
    whole = _json_or_text(b"\n".join(lines))
    each = [_json_or_text(line) for line in lines] if isinstance(whole, str) else []
    apart = each and not any(isinstance(data, str) and not _is_end(data) for data in each)
    return each if apart else [whole]


def _is_text(delta: Any) -> bool:  # noqa: ANN401 - JSON
    """Whether an event adds something to the answer, which may be a number."""
    return delta is not None and not isinstance(delta, bool | dict | list)


def _is_end(data: Any) -> bool:  # noqa: ANN401 - JSON
    """Some servers write the end in quotes, or in lower case."""
    return isinstance(data, str) and data.strip("\"' \t").upper() == _DONE


def _json_or_text(text: bytes) -> Any:  # noqa: ANN401 - JSON
    """JSON, where it is an object or a list; anything else is text, such as a word of an answer."""
    if text.lstrip()[:1] in {b"{", b"["}:
        try:
            return read_piece(text)
        except (ValueError, RecursionError):
            pass
    return text.decode(errors="replace")
