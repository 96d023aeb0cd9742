"""Keeps overrides of the command line with text values as they were typed.

Hydra reads ``1e3`` as the number 1000.0, ``1_0`` as 10 and ``True`` as a boolean before anyone
knows that the key takes a name or a path. Quoted values stay text.
"""

import re

_OVERRIDE = re.compile(r"(\+{0,2}([\w.]+)=)([^'\"\[\]{}()$\\=]+)")
"""A key and plain values, separated by commas; quotes and brackets do not match."""

_READABLE = re.compile(r"[\w/+.*%@?|:\s-]*", re.ASCII)
"""What Hydra accepts without quotes, among the remaining characters (OverrideLexer.g4)."""

TEXT_KEYS = frozenset(
    {
        "model",
        "variant",
        "sweep_name",
        "objective",
        "output_root",
        "output_dir",
        "dataset.path",
        "dataset.metadata",
        "dataset.encoding",
        "dataset.delimiter",
        "dataset.sheet",
        "dataset.config",
        "dataset.split",
        "dataset.revision",
        "dataset.columns.id",
        "dataset.columns.input",
        "dataset.columns.system",
        "dataset.columns.messages",
        "dataset.columns.expected",
        "dataset.columns.tags",
        "dataset.columns.metadata",
        "prompt.name",
        "prompt.system",
        "prompt.system_file",
        "prompt.template",
        "prompt.template_file",
        "prompt.few_shot.path",
        "backend.kind",
        "backend.default_model",
        "engine.kind",
        "engine.address",
        "select.ids",
        "select.where",
        "select.shard",
        "runner.trace_prefix",
        "tracking.kind",
        "tracking.uri",
        "tracking.experiment",
        "tracking.run_name",
    }
)
"""Every key of the schema that takes text. Listed here because loading the schema takes longer than
all of ``--help`` or ``--cfg``; a test compares the two."""

GROUPS = frozenset(
    {
        "dataset",
        "prompt",
        "backend",
        "params",
        "runner",
        "engine",
        "tracking",
        "experiment",
        "local",
    }
)
"""The groups of the config, each of which takes the name of one of its options."""

_EXPRESSION = re.compile(r"(\+{0,2}select\.where=)(.+)", re.DOTALL)
"""A Jinja expression, with quotes and brackets of its own."""

_PATH = re.compile(
    r"(\+{0,2}backend\.options\.(?:url|answer|finish_reason|request_id|reasoning|tool_calls|error"
    r"|retry_when|tokens\.\w+|stream\.(?:delta|done|error)|session\.from)=)(?!\{(?!\{))(.+)",
    re.DOTALL,
)
"""An address or a JMESPath expression of ``backend=http``: ``body.choices[0].text``."""

_QUOTED = re.compile(r"""(["'])(?:(?!\1)[^\\]|\\.)*\1""", re.DOTALL)
"""One text in quotes, as Hydra takes it."""

_TEXT_OPTIONS = frozenset(
    {
        "base_url",
        "endpoint_name",
        "api_base",
        "organization",
        "project",
        "api_key_env",
        "api_key_header",
        "model_path",
        "text",
        "answers_path",
        "callable",
        "cwd",
    }
)
"""The same in ``backend.options``, for the backends of this package."""

_OPTIONS = "backend.options."
_PROSE_KEYS = frozenset({"prompt.system", "prompt.template"})
_ASSIGNED = re.compile(r"(\+{0,2}([\w.]+)=)(.+)", re.DOTALL)
_FOR_HYDRA = re.compile(rf"null|\$\{{.*|{_QUOTED.pattern}", re.DOTALL)


def as_prose(override: str) -> str:
    """The override of a key that takes prose, in quotes: a comma or a brace is part of the text.

    For a single run; ``-m`` needs the comma between its values. Text in quotes is left as it is.
    """
    match = _ASSIGNED.fullmatch(override)
    if match is None or match[2] not in _PROSE_KEYS or _FOR_HYDRA.fullmatch(match[3]):
        return override
    return match[1] + _in_quotes(match[3])


def as_typed(override: str) -> str:
    """The override, with quotes around values that must stay text: ``model='1e3'``.

    The expression of ``select.where`` is quoted as a whole.

    For any key, non-ASCII letters and all else that Hydra accepts only in quotes are quoted too.
    """
    if (expression := _EXPRESSION.fullmatch(override)) and expression[2] != "null":
        is_quoted = _QUOTED.fullmatch(expression[2])
        return override if is_quoted else expression[1] + _in_quotes(expression[2])
    if (path := _PATH.fullmatch(override)) and not _FOR_HYDRA.fullmatch(path[2]):
        return path[1] + _in_quotes(path[2])
    match = _OVERRIDE.fullmatch(override)
    if match is None:
        return override
    if match[2] in GROUPS:
        quoted = _as_option
    else:
        quoted = _as_text if _takes_text(match[2]) else _as_readable
    return match[1] + ",".join(map(quoted, match[3].split(",")))


def _in_quotes(text: str) -> str:
    """The text in quotes, with backslashes before a quote doubled, as Hydra reads them."""
    return "'" + re.sub(r"(\\*)('|\Z)", lambda m: m[1] * 2 + "\\" * bool(m[2]) + m[2], text) + "'"


def _takes_text(key: str) -> bool:
    option = key.removeprefix(_OPTIONS)
    return key in TEXT_KEYS or (option != key and option in _TEXT_OPTIONS)


def _as_option(value: str) -> str:
    return f"'{value}'" if value == "null" else _as_text(value)


def _as_text(value: str) -> str:
    value = value.strip()
    needs_quotes = value.startswith("~") or value.lower() in {"true", "false"} or _is_number(value)
    return f"'{value}'" if needs_quotes else _as_readable(value)


def _as_readable(value: str) -> str:
    unreadable = value.isprintable() and not _READABLE.fullmatch(value)
    return f"'{value.strip()}'" if unreadable else value


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True
