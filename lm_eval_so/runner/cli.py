"""``python -m lm_eval_so.runner.cli``: turns flags into overrides for `app`."""

import argparse
import json
import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

from lm_eval_so._version import __version__
from lm_eval_so.runner.errors import ConfigError
from lm_eval_so.runner.host.output import keep_output, lasting_output
from lm_eval_so.runner.hydra_app import app
from lm_eval_so.runner.hydra_app.public_output import fail
from lm_eval_so.runner.hydra_app.shipped import shipped
from lm_eval_so.runner.hydra_app.typed_secrets import mask_secrets
from lm_eval_so.runner.run.exit_code import ExitCode
from lm_eval_so.runner.run.signals import as_own_process

_PROGRAM = "lm-eval-runner"
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./:@-]*")
_WORDS = {"true", "false", "null", "none", "nan", "inf", "yes", "no", "on", "off"}
_NAME = re.compile(r"[A-Za-z_][\w-]*(\.[A-Za-z_][\w-]*)*", re.ASCII)
_PAIRS: dict[str, Any] = {"metavar": "K=V", "action": "append", "default": []}
_FLAGS: dict[str, dict[str, Any]] = {
    "--dataset": {
        "metavar": "PATH",
        "help": "file, directory or glob (default: the toy dataset)",
    },
    "--metadata": {
        "metavar": "FILE",
        "help": "metadata.json, if it is not in the directory of the samples",
    },
    "--backend": {
        "metavar": "KIND",
        "default": "local",
        "help": "local (default), openai, anthropic, simulated, or that of an installed package",
    },
    "--system": {"metavar": "TEXT", "help": "system message, in the place of the samples' own"},
    "--system-file": {"metavar": "FILE", "help": "the same, from a file"},
    "--prompt-template": {
        "metavar": "TEXT",
        "help": "Jinja text for the last user turn of each sample: 'Q: {{ input }}'",
    },
    "--model": {"metavar": "NAME", "help": "name of the model, as the backend knows it"},
    "--param": _PAIRS
    | {
        "help": "parameter sent to the model; read as JSON if possible, else as a string; "
        "can be repeated"
    },
    "--backend-opt": _PAIRS
    | {
        "help": "api_key, base_url (api_base), request_defaults, default_headers, organization, "
        "project, ...; can be repeated"
    },
    "--preview": {
        "metavar": "N",
        "help": "print N requests as they would be sent, send and write nothing",
    },
    "--check": {
        "metavar": "N",
        "help": "send N samples once, print what was sent and found, and write nothing",
    },
    "--engine": {"metavar": "KIND", "default": "sync", "help": "sync (default) or ray"},
}
_SELECT_FLAGS = {
    "limit": ("limit", "ask the first N samples"),
    "sample": ("sample", "ask N samples at random"),
    "select_seed": ("seed", "seed of --sample (default 0)"),
}
_RUNNER_FLAGS = {
    "max_concurrency": "requests in flight at once",
    "timeout": "seconds per attempt",
    "max_retries": "retries after the first attempt",
    "rate_limit": "requests per second",
    "trace_prefix": "trace ids are <prefix>-<sample id>-<8 hex>",
    "log_level": "DEBUG, INFO, WARNING, ERROR or CRITICAL",
}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{message} (see {_PROGRAM} --help)")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns the exit code, as `app.main`."""
    with lasting_output():
        return _main(sys.argv[1:] if arguments is None else list(arguments))


def _main(arguments: list[str]) -> int:
    try:
        flags = _parser().parse_args(arguments)
        overrides = list(_overrides(flags))
    except ConfigError as error:
        return fail(error)
    except SystemExit as end:  # --help and --version
        return end.code if isinstance(end.code, int) else ExitCode.NOT_CARRIED_OUT
    return app.main(overrides, resume_command=shlex.join([_PROGRAM, *mask_secrets(arguments)]))


def script() -> NoReturn:
    """The console script."""
    keep_output()
    as_own_process(main)


def override_value(value: Any) -> str:  # noqa: ANN401 - any JSON value
    """The value in a form that Hydra reads back unchanged: plain if possible, else encoded."""
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    if value is None or isinstance(value, bool | int):
        return json.dumps(value)

    from lm_eval_so.runner.config.compose import EncodedJson  # noqa: PLC0415 - not for --help

    return EncodedJson.interpolation(value)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog=_PROGRAM,
        allow_abbrev=False,
        description="Runs a dataset against a model; writes one result per sample to "
        "run_results.jsonl.",
        epilog="For config groups, sweeps and shell completion, see: lm-eval-so --help",
    )
    add = parser.add_argument
    for name, settings in _FLAGS.items():
        add(name, **settings)
    for name, (_, text) in _SELECT_FLAGS.items():
        add(f"--{name.replace('_', '-')}", metavar="N", help=text)
    for name, text in _RUNNER_FLAGS.items():
        add(f"--{name.replace('_', '-')}", metavar="X", help=text)
    add("--output-dir", metavar="DIR", required=True, help="the run directory (required)")
    add("--version", action="version", version=f"{_PROGRAM} {__version__}")
    return parser


def _overrides(flags: argparse.Namespace) -> Iterator[str]:
    if flags.dataset is not None:
        yield "dataset=path"
        yield f"dataset.path={override_value(flags.dataset)}"
    yield from _backend(flags.backend)
    for key, value in (
        ("dataset.metadata", flags.metadata),
        ("prompt.system", flags.system),
        ("prompt.system_file", flags.system_file),
        ("prompt.template", flags.prompt_template),
        ("model", flags.model),
    ):
        if value is not None:
            yield f"{key}={override_value(value)}"
    for flag, node in (("param", "params"), ("backend_opt", "backend.options")):
        for pair in getattr(flags, flag):
            name, value = _pair(f"--{flag.replace('_', '-')}", pair)
            yield f"{node}.{name}={override_value(value)}"
    installed = _is_installed(flags.engine, "lm_eval_so.engines")
    yield f"engine{'.kind' if installed else ''}={override_value(flags.engine)}"
    keys = {
        "preview": "preview",
        "check": "check",
        **{name: f"select.{key}" for name, (key, _) in _SELECT_FLAGS.items()},
        **{name: f"runner.{name}" for name in _RUNNER_FLAGS},
    }
    for name, key in keys.items():
        if (value := getattr(flags, name)) is not None:
            yield f"{key}={override_value(_json_or_text(value))}"
    yield f"output_dir={override_value(flags.output_dir)}"


def _backend(kind: str) -> Iterator[str]:
    is_shipped = (shipped("conf") / "backend" / f"{kind}.yaml").is_file()
    if is_shipped or not _is_installed(kind, "lm_eval_so.backends"):
        yield f"backend={override_value(kind)}"
    else:
        yield "backend=custom"
        yield f"backend.kind={override_value(kind)}"


def _is_installed(kind: str, group: str) -> bool:
    from importlib.metadata import entry_points  # noqa: PLC0415 - not for --help

    return kind in entry_points(group=group).names


def _pair(flag: str, pair: str) -> tuple[str, Any]:
    name, equals, value = pair.partition("=")
    if not equals:
        raise ConfigError(f"{flag} needs NAME=VALUE, got {pair!r}: the '=' is missing")
    if not _NAME.fullmatch(name):
        raise ConfigError(f"{flag} {pair!r}: {name!r} is not a valid name")
    return name, _json_or_text(value)


def _json_or_text(value: str) -> Any:  # noqa: ANN401 - any JSON value
    try:
        return json.loads(value, parse_constant=_no_constant)
    except ValueError:
        return value


def _no_constant(word: str) -> NoReturn:
    raise ValueError(word)


if __name__ == "__main__":
    script()
