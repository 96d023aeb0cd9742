"""``lm-eval-so view [DIR]`` serves a page over everything in a folder, live while runs go on."""

import argparse
import asyncio
import errno
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from lm_eval_so.report.view.folder import id_of
from lm_eval_so.report.view.guard import is_loopback
from lm_eval_so.report.view.server import Address, serve
from lm_eval_so.runner.errors import ConfigError, LmEvalError
from lm_eval_so.runner.host.output import show, tell
from lm_eval_so.runner.run.exit_code import ExitCode
from lm_eval_so.runner.store.metadata import METADATA
from lm_eval_so.runner.sweep.record import RECORD

_HOST, _PORT, _LAST_PORT = "127.0.0.1", 7777, 65535
_SWEEPS = "sweeps"


class _Shown(NamedTuple):
    """What is served, and the path of the page that was asked for."""

    root: Path
    page: str


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves until a signal ends it.

    Returns:
        130 for Ctrl-C, 143 for SIGTERM, 129 for SIGHUP; 2 if it could not begin.
    """
    flags = _parser().parse_args(arguments)
    try:
        shown = _shown(flags.directory)
        address = Address(flags.host, flags.port, tuple(flags.allow_host))
        return asyncio.run(serve(shown.root, address, lambda url: _begun(url, shown, flags)))
    except LmEvalError as error:
        tell(f"error: {error}")
    except OSError as error:
        tell(f"error: {_cannot_listen(error, flags.host, flags.port)}")
    return ExitCode.NOT_CARRIED_OUT


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lm-eval-so view",
        description="Serves a page over all run directories and sweeps in a folder: answers side "
        "by side, what differs, what went wrong; live while a run goes on. Nothing in the folder "
        "is changed, links that lead out of it are not followed, and nothing is loaded from "
        "elsewhere.",
    )
    add = parser.add_argument
    add(
        "directory",
        metavar="DIR",
        nargs="?",
        type=Path,
        default=Path("outputs"),
        help="a folder with run directories at any depth, a run directory or the folder of a "
        "sweep (default: outputs)",
    )
    add("--port", type=_port, default=_PORT, help=f"0 for any that is free (default: {_PORT})")
    add(
        "--host",
        default=_HOST,
        help=f"the address to listen at (default: {_HOST}, which only this machine reaches; there "
        "is no password)",
    )
    add(
        "--allow-host",
        metavar="NAME",
        action="append",
        default=[],
        help="a further name under which browsers reach this machine, such as that of a proxy",
    )
    add("--open", action="store_true", help="open the page in the browser")
    return parser


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text) <= _LAST_PORT):
        raise argparse.ArgumentTypeError(f"a number from 0 to {_LAST_PORT}, got {text!r}")
    return int(text)


def _shown(directory: Path) -> _Shown:
    """The folder to serve; of a sweep the one around it, where its cells are.

    Raises:
        ConfigError: There is no such folder.
    """
    try:
        what = "is no folder" if directory.exists() else "does not exist"
        is_folder = directory.is_dir()
    except OSError as error:
        raise ConfigError(f"{directory} cannot be read: {error.strerror}") from error
    if not is_folder:
        raise ConfigError(
            f"{directory} {what}; name the folder with your run directories: lm-eval-so view DIR"
        )
    root = directory.resolve()
    if (root / METADATA).is_file():
        return _Shown(root, f"board/{id_of(root, root)}/")
    if (root / RECORD).is_file() and root.parent.name == _SWEEPS:
        around = root.parent.parent
        return _Shown(around, f"board/{id_of(root, around)}/")
    return _Shown(root, "")


def _begun(url: str, shown: _Shown, flags: argparse.Namespace) -> None:
    show(f"{shown.root} is shown at {url}{shown.page}  (Ctrl-C ends it)")
    if not is_loopback(flags.host):
        tell("warning: whoever reaches this machine's port can read all questions and answers")
    if flags.open:
        import webbrowser  # noqa: PLC0415 - only for --open

        webbrowser.open(url + shown.page)


def _cannot_listen(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"port {port} of {host} is in use, perhaps by another lm-eval-so view; choose another "
            "with --port, or --port 0 for any that is free"
        )
    if error.errno in {errno.EACCES, errno.EPERM}:
        return f"port {port} of {host} may not be used; choose one above 1023 with --port"
    return f"cannot listen at --host {host}: {error.strerror or error}"
