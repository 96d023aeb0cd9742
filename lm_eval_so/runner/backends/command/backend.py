"""A command answers: a process for each request, or one for each slot."""

from __future__ import annotations

import hashlib
import logging
import os
import shlex
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import orjson

from lm_eval_so.runner.backends.base import ChatBackend, Outgoing
from lm_eval_so.runner.backends.command.once import ask_once
from lm_eval_so.runner.backends.command.options import CommandOptions
from lm_eval_so.runner.backends.command.persistent import Processes
from lm_eval_so.runner.backends.command.process import Start
from lm_eval_so.runner.backends.command.question import as_json, as_text
from lm_eval_so.runner.errors import BackendError, BackendSetupError, CommandFailedError
from lm_eval_so.runner.masking.names import is_secret_name
from lm_eval_so.runner.masking.options import opened
from lm_eval_so.runner.masking.values import MASK, is_issued_key, looks_like_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lm_eval_so.runner.models import ChatResponse, RunConfig, RunRequest

_ALWAYS = ("PATH", "SYSTEMROOT")  # the latter for Windows, where nothing starts without it
_SCRIPTS = {".py", ".sh", ".js", ".mjs", ".ts", ".rb", ".pl", ".php", ".lua", ".r", ".jl", ".ps1"}
_DIGITS = 16  # of the digest that are kept


class CommandBackend(ChatBackend):
    """Any program.

    Args:
        config: What is asked, and with which options.
        environ: The variables in force; None for those of this process.
    """

    options: CommandOptions
    options_model = CommandOptions
    operational_options = frozenset({"command", "cwd", "persistent", "retry_exit_codes"})

    def __init__(self, config: RunConfig, environ: Mapping[str, str] | None = None) -> None:
        super().__init__(config)
        environ = os.environ if environ is None else environ
        self._env = dict(_variables(self.options, environ))
        self._start = Start(self.options.command, self._env, self.options.cwd)
        self._check_program()
        self._endpoint = _endpoint(self.options)
        self._warned = False

    def _check_program(self) -> None:
        cwd, program = self.options.cwd, self.options.command[0]
        if cwd is not None and not cwd.is_dir():
            raise BackendSetupError(f"backend.options.cwd: there is no folder {cwd}")
        is_path = os.sep in program
        where = str(Path(cwd or "", program)) if is_path else program
        if shutil.which(where, path=self._env.get("PATH")) is None:
            place = f"at {where}" if is_path else "on the PATH"
            raise BackendSetupError(
                f"backend.options.command: there is no program {program!r} {place}"
            )

    @property
    def endpoint(self) -> str:
        return self._endpoint

    @property
    def identity_options(self) -> dict[str, Any]:
        env = {
            name: value if isinstance(value, str) else None
            for name, value in self.options.env.items()
        }
        return {
            **super().identity_options,
            "command": list(_public(self.options.command)),
            "env": env,
        }

    @property
    def takes_at_once(self) -> int:
        """A process is no connection: one for each core, unless ``max_concurrency`` says more."""
        return os.cpu_count() or 1

    @property
    def secrets(self) -> list[str]:
        handed_on = [value for name, value in self._env.items() if is_secret_name(name)]
        concealed = zip(self.options.command, _public(self.options.command), strict=True)
        typed = [given.partition("=")[2] or given for given, shown in concealed if given != shown]
        return [*handed_on, *typed]

    async def remedy(self, error: BackendError) -> str:
        program = self.options.command[0]
        if isinstance(error, CommandFailedError):
            return f"try {program} by hand; preview=1 shows what stands on its stdin"
        return ""

    async def __aenter__(self) -> Self:
        self._processes = Processes(self._start, self.options, self.longest_answer)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._processes.close()

    async def send(self, request: RunRequest) -> ChatResponse:
        question = self._question(request)
        if self.options.persistent:
            return await self._processes.ask(question)
        return await ask_once(self._start, question, self.options, self.longest_answer)

    async def preview(self, request: RunRequest) -> Outgoing:
        question = self._question(request)
        if self.options.input == "last_user":
            question = orjson.dumps(question.decode())
        command = shlex.join(_public(self.options.command))
        return Outgoing("", command, [("variables", " ".join(self._env))], question)

    def _question(self, request: RunRequest) -> bytes:
        """What stands on stdin."""
        if self.options.input == "sample":
            return as_json(request)
        left_out = len(request.messages) - 1
        if left_out and not self._warned:
            self._warned = True
            logging.getLogger(__name__).warning(
                "sample %r: input=last_user sends the last user turn alone; %d other messages are "
                "left out (input=sample sends all)",
                request.sample_id,
                left_out,
            )
        return as_text(request)


def _variables(options: CommandOptions, environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Name and value of each variable that the command gets; one that is not set is left out."""
    for name in _ALWAYS:
        if name in environ:
            yield name, environ[name]
    for name, value in options.env.items():
        if value is not None:
            yield name, str(opened(value))
        elif name in environ:
            yield name, environ[name]


def _endpoint(options: CommandOptions) -> str:
    """Stands in request keys for the program, its arguments, and the content of scripts in them."""
    digest = hashlib.sha256(orjson.dumps([*_public(options.command), options.input]))
    for argument in options.command:
        path = Path(options.cwd or "", argument)
        if path.suffix.lower() in _SCRIPTS and path.is_file():
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    program = Path(options.command[0]).name
    return f"command:{program}:{digest.hexdigest()[:_DIGITS]}"


def _public(arguments: list[str]) -> Iterator[str]:
    """The arguments, with ``***`` for keys: ``--api-key=KEY``, ``--token KEY``, and others.

    A value must look like a key: ``--max-token 5`` is none.
    """
    before = ""
    for argument in arguments:
        name, is_set, value = argument.partition("=")
        if is_issued_key(argument) or (is_secret_name(before) and looks_like_key(argument)):
            yield MASK
        elif is_set and is_secret_name(name.lstrip("-")) and looks_like_key(value):
            yield f"{name}={MASK}"
        else:
            yield argument
        before = argument.lstrip("-") if argument.startswith("-") else ""
