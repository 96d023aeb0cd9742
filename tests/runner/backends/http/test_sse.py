from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_eval_so.runner.backends.http.sse import Event, EventReader, is_event_stream


def read(*pieces: bytes) -> list[Event]:
    reader = EventReader()
    events = [event for piece in pieces for event in reader.feed(piece)]
    return [*events, *reader.rest()]


@pytest.mark.parametrize(
    ("body", "events"),
    [
        pytest.param(b"data: a\n\ndata: b\n\n", [Event(b"", [b"a"]), Event(b"", [b"b"])], id="lf"),
        pytest.param(b"data: a\r\n\r\n", [Event(b"", [b"a"])], id="crlf"),
        pytest.param(b"data: a\r\rdata: b\r\r", [Event(b"", [b"a"]), Event(b"", [b"b"])], id="cr"),
        pytest.param(b"data:a\n\n", [Event(b"", [b"a"])], id="no-space"),
        pytest.param(b"data:  a \n\n", [Event(b"", [b" a "])], id="more-space"),
        pytest.param(b"data: a\ndata: b\n\n", [Event(b"", [b"a", b"b"])], id="two-lines"),
        pytest.param(b"event: error\ndata: a\n\n", [Event(b"error", [b"a"])], id="named"),
        pytest.param(b"event: x\n\ndata: a\n\n", [Event(b"", [b"a"])], id="a-name-alone"),
        pytest.param(b": ping\n\nid: 1\nretry: 5\ndata: a\n\n", [Event(b"", [b"a"])], id="others"),
        pytest.param(b"\xef\xbb\xbfdata: a\n\n", [Event(b"", [b"a"])], id="bom"),
        pytest.param(b"data: a", [Event(b"", [b"a"])], id="no-end"),
        pytest.param(b"data: a\n", [Event(b"", [b"a"])], id="no-empty-line"),
        pytest.param(b"data\n\n", [Event(b"", [b""])], id="no-colon"),
        pytest.param(b"data:\n\n", [Event(b"", [b""])], id="no-value"),
        pytest.param(
            "data: \u2028\x85\x0b\n\n".encode(),
            [Event(b"", ["\u2028\x85\x0b".encode()])],
            id="no-line-ends",
        ),
        pytest.param(b"", [], id="nothing"),
        pytest.param(b"\n\n\n", [], id="blank"),
    ],
)
def test_events_are_read_in_whatever_pieces_they_come(body: bytes, events: list[Event]) -> None:
    assert read(body) == events
    assert read(*[body[at : at + 1] for at in range(len(body))]) == events
    for at in range(len(body)):
        assert read(body[:at], b"", body[at:]) == events


@given(st.lists(st.binary(max_size=30), max_size=5))
def test_no_bytes_can_break_it(pieces: list[bytes]) -> None:
    assert all(event.data for event in read(*pieces))


@pytest.mark.parametrize(
    "start", [b"data: a", b"\n data:a", b": ping\n", b"event: x\n", b"id: 1\n"]
)
def test_a_stream_of_events_is_told_by_its_look(start: bytes) -> None:
    assert is_event_stream(start)
    assert is_event_stream(b"\xef\xbb\xbf" + start)


@pytest.mark.parametrize("start", [b"", b"{", b" \n[1]", b"<html>data: a", b"database", b"null"])
def test_other_bodies_are_no_stream(start: bytes) -> None:
    assert not is_event_stream(start)
