from __future__ import annotations

import pytest

from lm_eval_so.runner.masking.visible import visible, visible_lines


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("\x1b]52;c;aGk=\x07", "\\x1b]52;c;aGk=\\x07", id="clipboard"),
        pytest.param("\x1b]0;title\x07", "\\x1b]0;title\\x07", id="title"),
        pytest.param("\x1b[2J\x9b2J", "\\x1b[2J\\x9b2J", id="clear"),
        pytest.param("a\rb", "a\\rb", id="return"),
        pytest.param("a\u202eb\u2028", "a\\u202eb\\u2028", id="direction"),
        pytest.param("a\tb", "a\tb", id="tab"),
        pytest.param("é 암호 👩\u200d🔬\u00a0", "é 암호 👩\u200d🔬\u00a0", id="text"),
    ],
)
def test_control_characters_are_shown_as_their_escapes(text: str, shown: str) -> None:
    assert visible(text) == visible_lines(text) == shown


def test_a_line_break_is_one_only_where_there_may_be_several_lines() -> None:
    assert visible("a\nb") == "a\\nb"
    assert visible_lines("a\nb") == "a\nb"
