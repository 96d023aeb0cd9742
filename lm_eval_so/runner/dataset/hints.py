"""Hints for a line that is not a sample: a file of another kind, keys with other names."""

import json
import re
from collections.abc import Mapping
from typing import Any

import orjson

from lm_eval_so.runner.models import SAMPLE_PARAMETERS

_UTF_16 = (
    "not UTF-8 (looks like UTF-16): iconv -f UTF-16 -t UTF-8 FILE > test.jsonl, or "
    "dataset.encoding=utf-16"
)
_UTF_32 = _UTF_16.replace("16", "32")
_KINDS = {
    b"\xff\xfe\0\0": _UTF_32,
    b"\0\0\xfe\xff": _UTF_32,
    b"\x1f\x8b": "this is a gzip file; name it .jsonl.gz",
    b"PAR1": "this is a Parquet file, not JSON Lines",
    b"PK\x03\x04": "this is a zip file (or a spreadsheet), not JSON Lines",
    b"SQLite format 3": "this is an SQLite file, not JSON Lines",
    b"ARROW1": "this is an Arrow file, not JSON Lines",
    b"\x80": "this is a Python pickle, not JSON Lines",
    b"\x28\xb5\x2f\xfd": "this file is compressed with zstd: unzstd FILE",
    b"BZh": "this file is compressed with bzip2: bunzip2 FILE",
    b"\xfd7zXZ": "this file is compressed with xz: unxz FILE",
    b"version https://git-lfs": "this is a Git LFS pointer; fetch the file: git lfs pull",
    b"<<<<<<<": "this file has a Git merge conflict; resolve it first",
    b"<": "this is a web page or XML, not JSON Lines",
    b"[": "this is a JSON array; write one sample per line: jq -c '.[]' FILE > test.jsonl",
    b"\xff\xfe": _UTF_16,
    b"\xfe\xff": _UTF_16,
}
"""By the first bytes of a file."""

_IN_A_LINE = (
    (re.compile(rb"^//|^#"), "a comment, which JSON does not allow"),
    (re.compile(rb"^\{\s*'"), "written with Python's quotes; JSON needs double quotes"),
    (re.compile(rb"^\{\x00|^\x00\{"), "in UTF-16: iconv -f UTF-16LE -t UTF-8 FILE > test.jsonl"),
    (re.compile(rb"\x00"), "with NUL bytes in it, as after a crash"),
    (
        re.compile(rb"\\u[dD][89a-fA-F]"),
        "with half of a character (such as \\ud83d), which is not valid text",
    ),
    (re.compile(rb"^\{.*\},$"), "with a comma at its end; remove it"),
    (re.compile(rb"\r\s*\{"), "with only CR as the line break: tr '\\r' '\\n' < FILE > test.jsonl"),
)
"""What a line that is not JSON may be, the likeliest first."""
_PLACE = re.compile(r" at line \d+ column (\d+)$")

_SCRIPTS = {
    "CP949": ("euc_kr", re.compile("[\uac00-\ud7a3]")),
    "Shift_JIS": ("shift_jis", re.compile("[\u3041-\u30ff]")),
    "GB18030": ("gb2312", re.compile("[\u4e00-\u9fff]")),
    "BIG5": ("big5", re.compile("[\u4e00-\u9fff]")),
}
_CYRILLIC = ("cp1251", re.compile("[\u0410-\u044f\u0401\u0451]"))
"""Each byte is a letter, so any text could be in it: it is tried last."""
_CLEAR = 0.9  # share of letters
"""By encoding: its part with the common letters, and the letters that most text in it consists of.
The whole encodings would read each other's bytes as rare letters."""

_QUESTIONS = {"question", "prompt", "input", "instruction", "query", "text", "content", "turns"} | {
    "conversations",
    "conversation",
    "dialog",
    "dialogue",
    "chat",
    "message",
    "body",
}
_IDS = {"sample_id", "custom_id", "question_id", "task_id", "item_id", "uid", "uuid", "qid"} | {
    "idx",
    "index",
    "key",
    "_id",
    "ID",
    "Id",
}
_ROLES = {"human": "user", "customer": "user"} | dict.fromkeys(
    ("gpt", "chatgpt", "bot", "model", "ai", "agent"), "assistant"
)
_NOT_SENT = {
    "params": "set parameters in the config (params.temperature=0)",
    "parameters": "set parameters in the config (params.temperature=0)",
    "functions": "use tools instead",
    "function_call": "use tool_choice instead",
}
_LOOKS_SENT = ("system", "temperature", "top_p", "max_tokens", "max_completion_tokens", "stop")
_MESSAGE = '{"role": "user", "content": ...}'
_FINETUNE = "; if this is a file for fine-tuning, type dataset.layout=openai_finetune"
_SHAREGPT = "; if this is a ShareGPT file, type dataset.layout=sharegpt"
_MOST_KEYS = 5  # of a line, that are shown


def of_file(start: bytes) -> str | None:
    """What the file is, by its first line, if it is clearly not a JSON Lines file."""
    for magic, kind in _KINDS.items():
        if start.startswith(magic) and not _is_json(start):
            return kind
    if start == b"{":
        return "this is one JSON object over many lines; write one sample per line: jq -c . FILE"
    return None


def of_encoding(line: bytes) -> str | None:
    """The sentence for a line that is not UTF-8, with the encoding it seems to be in."""
    sentence = not_utf_8(line)
    if sentence is None:
        return None
    name = encoding_of(line)
    return (
        f"{sentence}: iconv -f {name} -t UTF-8 FILE > test.jsonl, or "
        f"dataset.encoding={name.lower()}"
    )


def not_utf_8(text: bytes) -> str | None:
    """``not UTF-8 (looks like CP949)``; None if it is UTF-8."""
    try:
        text.decode()
    except UnicodeDecodeError:
        return f"not UTF-8 (looks like {encoding_of(text)})"
    return None


def of_json(line: bytes, error: str) -> str:
    """The sentence for a line that is not valid JSON."""
    kind = next((kind for pattern, kind in _IN_A_LINE if pattern.search(line)), None)
    place = _PLACE.sub(r" (column \1)", error)
    sentence = f"not valid JSON: {place}"
    return sentence if kind is None else f"{sentence}; this is a line {kind}"


def of_sample(line: bytes) -> str:
    """A hint for a line that is JSON but not a sample; empty if there is none."""
    found = json.loads(line)
    if not isinstance(found, dict):
        return ""
    if "messages" not in found:
        tail = _SHAREGPT if isinstance(found.get("conversations"), list) else ""
        return _found(found, _QUESTIONS, f"messages: [{_MESSAGE}]") + tail
    if "id" not in found:
        return _found(found, _IDS, "id") + (_FINETUNE if _ends_with_answer(found) else "")
    if isinstance(found["messages"], str) and found["messages"].lstrip().startswith("["):
        return "; this is JSON inside a string: remove the quotes around it"
    turns = found["messages"] if isinstance(found["messages"], list) else []
    return next(filter(None, map(_of_turn, turns)), "")


def _ends_with_answer(sample: Mapping[str, Any]) -> bool:
    turns = sample["messages"]
    last = turns[-1] if isinstance(turns, list) and turns else None
    return isinstance(last, dict) and last.get("role") == "assistant"


def _of_turn(turn: object) -> str:
    if not isinstance(turn, dict):
        return ""
    if "role" not in turn and "from" in turn:
        return f"; found `from`, but a message is {_MESSAGE}"
    role = turn.get("role")
    meant = _ROLES.get(role.lower()) if isinstance(role, str) else None
    return f"; did you mean {meant!r}?" if meant else ""


def not_sent(extra: Mapping[str, Any]) -> str | None:
    """The sentence for a key that looks as if it is sent with the sample, but is not."""
    if not extra:
        return None
    for name, instead in _NOT_SENT.items():
        if extra.get(name):
            known = ", ".join(SAMPLE_PARAMETERS)
            return f"{name} of a sample is not sent: {instead}; a sample may set {known}"
    return None


def kept_only(extra: Mapping[str, Any]) -> list[str]:
    """The keys that are kept with the sample, but look as if they are sent."""
    return [name for name in _LOOKS_SENT if extra.get(name) is not None]


def _found(sample: Mapping[str, Any], names: set[str], wanted: str) -> str:
    alike = [name for name in sample if name in names] or list(sample)[:_MOST_KEYS]
    return f"; found {', '.join(f'`{name}`' for name in alike) or 'no key'}; it needs {wanted}"


def encoding_of(line: bytes) -> str:
    """The encoding that a line which is not UTF-8 seems to be in."""
    if line.startswith((b"\xff\xfe\0\0", b"\0\0\xfe\xff")):
        return "UTF-32"
    if line.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "UTF-16"
    if (place := line.find(b"\0")) >= 0:
        return "UTF-16-LE" if place % 2 else "UTF-16-BE"
    shares = {name: _share(line, *script) for name, script in _SCRIPTS.items()}
    best = max(shares, key=shares.__getitem__)
    if shares[best] < _CLEAR <= _share(line, *_CYRILLIC):
        return "CP1251"
    return best if shares[best] > 1 / 2 else "CP1252"


def _share(line: bytes, encoding: str, letters: re.Pattern[str]) -> float:
    """The share of letters in what is not ASCII, from 0 to 1."""
    foreign = [letter for letter in line.decode(encoding, errors="replace") if not letter.isascii()]
    return sum(map(bool, map(letters.match, foreign))) / len(foreign)


def _is_json(line: bytes) -> bool:
    try:
        return isinstance(orjson.loads(line), dict)
    except orjson.JSONDecodeError:
        return False
