"""What would help with a line that is no sample: a file of another kind, keys of another name."""

import json
import re
from collections.abc import Mapping
from typing import Any

import orjson

from lm_eval_so.runner.models import SAMPLE_PARAMETERS

_KINDS = {
    b"\x1f\x8b": "this is a gzip file; name it .jsonl.gz",
    b"PAR1": "this is a Parquet file, not JSON Lines",
    b"PK\x03\x04": "this is a zip file (or a spreadsheet), not JSON Lines",
    b"SQLite format 3": "this is an SQLite file, not JSON Lines",
    b"ARROW1": "this is an Arrow file, not JSON Lines",
    b"\x80": "this is a Python pickle, not JSON Lines",
    b"\x28\xb5\x2f\xfd": "this is packed by zstd: unzstd FILE",
    b"BZh": "this is packed by bzip2: bunzip2 FILE",
    b"\xfd7zXZ": "this is packed by xz: unxz FILE",
    b"version https://git-lfs": "this stands for a file that Git LFS has not fetched: git lfs pull",
    b"<<<<<<<": "this file holds a conflict of Git, which must be resolved first",
    b"<": "this is a web page or XML, not JSON Lines",
    b"[": "this is a JSON array, and samples stand one a line: jq -c '.[]' FILE > test.jsonl",
    b"\xff\xfe": "not UTF-8 (looks like UTF-16): iconv -f UTF-16 -t UTF-8 FILE > test.jsonl",
    b"\xfe\xff": "not UTF-8 (looks like UTF-16): iconv -f UTF-16 -t UTF-8 FILE > test.jsonl",
}
"""By the first bytes of a file."""

_IN_A_LINE = (
    (re.compile(rb"^//|^#"), "a comment, and JSON has none"),
    (re.compile(rb"^\{\s*'"), "written with Python's quotes, and JSON takes double ones"),
    (re.compile(rb"^\{\x00|^\x00\{"), "in UTF-16: iconv -f UTF-16LE -t UTF-8 FILE > test.jsonl"),
    (re.compile(rb"\x00"), "with NUL bytes in it, as a crash leaves them"),
    (
        re.compile(rb"\\u[dD][89a-fA-F]"),
        "with half of a character (\\ud83d, say), which is no text",
    ),
    (re.compile(rb"^\{.*\},$"), "with a comma at its end, and lines of JSON Lines have none"),
    (re.compile(rb"\r\s*\{"), "with CR alone for a line break: tr '\\r' '\\n' < FILE > test.jsonl"),
)
"""What a line that is no JSON may be, the likeliest first."""
_PLACE = re.compile(r" at line \d+ column (\d+)$")

_SCRIPTS = {
    "CP949": ("euc_kr", re.compile("[\uac00-\ud7a3]")),
    "Shift_JIS": ("shift_jis", re.compile("[\u3041-\u30ff]")),
    "GB18030": ("gb2312", re.compile("[\u4e00-\u9fff]")),
    "BIG5": ("big5", re.compile("[\u4e00-\u9fff]")),
}
_CYRILLIC = ("cp1251", re.compile("[\u0410-\u044f\u0401\u0451]"))
"""A single byte each, so that every text could be in it: the last that is looked at."""
_CLEAR = 0.9  # share of letters
"""By encoding, the part of it that common letters stand in, and the letters that texts in it are
mostly made of. The whole encodings would take each other's bytes for rare letters."""

_QUESTIONS = {"question", "prompt", "input", "instruction", "query", "text", "content", "turns"} | {
    *("conversations", "conversation", "dialog", "dialogue", "chat", "message", "body"),
}
_IDS = {"sample_id", "custom_id", "question_id", "task_id", "item_id", "uid", "uuid", "qid"} | {
    *("idx", "index", "key", "_id", "ID", "Id"),
}
_ROLES = {"human": "user", "customer": "user"} | dict.fromkeys(
    ("gpt", "chatgpt", "bot", "model", "ai", "agent"), "assistant"
)
_NOT_SENT = {
    "params": "parameters belong to the config (params.temperature=0)",
    "parameters": "parameters belong to the config (params.temperature=0)",
    "functions": "the key tools is sent",
    "function_call": "the key tool_choice is sent",
}
_LOOKS_SENT = ("system", "temperature", "top_p", "max_tokens", "max_completion_tokens", "stop")
_MESSAGE = '{"role": "user", "content": ...}'
_MOST_KEYS = 5  # of a line, that are named


def of_file(start: bytes) -> str | None:
    """What the file is, by its first line, where it is clearly no JSON Lines file."""
    for magic, kind in _KINDS.items():
        if start.startswith(magic) and not _is_json(start):
            return kind
    if start == b"{":
        return "this is one JSON text over many lines; samples stand one a line: jq -c . FILE"
    return None


def of_encoding(line: bytes) -> str | None:
    """The sentence for a line that is not UTF-8, with the encoding it seems to be in."""
    try:
        line.decode()
    except UnicodeDecodeError:
        name = _encoding(line)
        return f"not UTF-8 (looks like {name}): iconv -f {name} -t UTF-8 FILE > test.jsonl"
    return None


def of_json(line: bytes, error: str) -> str:
    """The sentence for a line that is no JSON."""
    kind = next((kind for pattern, kind in _IN_A_LINE if pattern.search(line)), None)
    place = _PLACE.sub(r" (column \1)", error)
    return f"no JSON: {place}" if kind is None else f"no JSON: {place}; it is a line {kind}"


def of_sample(line: bytes) -> str:
    """What would help with a line that is JSON but no sample; empty where nothing is known."""
    found = json.loads(line)
    if not isinstance(found, dict):
        return ""
    if "messages" not in found:
        return _found(found, _QUESTIONS, f"messages: [{_MESSAGE}]")
    if "id" not in found:
        return _found(found, _IDS, "id")
    if isinstance(found["messages"], str) and found["messages"].lstrip().startswith("["):
        return "; it is JSON within a string: write it without the quotes around it"
    turns = found["messages"] if isinstance(found["messages"], list) else []
    return next(filter(None, map(_of_turn, turns)), "")


def _of_turn(turn: object) -> str:
    if not isinstance(turn, dict):
        return ""
    if "role" not in turn and "from" in turn:
        return f"; found `from`: a message is {_MESSAGE}"
    role = turn.get("role")
    meant = _ROLES.get(role.lower()) if isinstance(role, str) else None
    return f"; did you mean {meant!r}?" if meant else ""


def not_sent(extra: Mapping[str, Any]) -> str | None:
    """The sentence for a key that looks as if it were sent with the sample, and is not."""
    if not extra:
        return None
    for name, instead in _NOT_SENT.items():
        if extra.get(name):
            known = ", ".join(SAMPLE_PARAMETERS)
            return f"{name} of a sample is not sent: {instead}; of a sample, {known} are sent"
    return None


def kept_only(extra: Mapping[str, Any]) -> list[str]:
    """The keys that are kept with the sample, and look as if they were sent."""
    return [name for name in _LOOKS_SENT if extra.get(name) is not None]


def _found(sample: Mapping[str, Any], names: set[str], wanted: str) -> str:
    alike = [name for name in sample if name in names] or list(sample)[:_MOST_KEYS]
    return f"; found {', '.join(f'`{name}`' for name in alike) or 'no key'}; needed is {wanted}"


def _encoding(line: bytes) -> str:
    shares = {name: _share(line, *script) for name, script in _SCRIPTS.items()}
    best = max(shares, key=shares.__getitem__)
    if shares[best] < _CLEAR <= _share(line, *_CYRILLIC):
        return "CP1251"
    return best if shares[best] > 1 / 2 else "CP1252"


def _share(line: bytes, encoding: str, letters: re.Pattern[str]) -> float:
    """How much of what is not ASCII would be letters, from 0 to 1."""
    foreign = [letter for letter in line.decode(encoding, errors="replace") if not letter.isascii()]
    return sum(map(bool, map(letters.match, foreign))) / len(foreign)


def _is_json(line: bytes) -> bool:
    try:
        return isinstance(orjson.loads(line), dict)
    except orjson.JSONDecodeError:
        return False
