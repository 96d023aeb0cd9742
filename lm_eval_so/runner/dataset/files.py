"""Which files a dataset's path names."""

import re
import stat
from collections import Counter
from glob import has_magic
from pathlib import Path
from typing import NamedTuple

from lm_eval_so.runner.dataset.registry import FORMATS, TABLES, Format, format_of, suffixes
from lm_eval_so.runner.errors import DatasetError

METADATA = "metadata.json"
SAMPLES = "test"
"""Name of the samples' file in a directory, without its suffix."""
_HIDDEN = (".", "~$", "_")
"""What begins the names of files that programs leave: Excel's locks, Spark's marks."""
_MOST_SHOWN = 5
_ADDRESS = re.compile(r"(https?|s3|gs|ftp):/")
_KINDS = (
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISDIR, "a directory"),
)


class Files(NamedTuple):
    """The files of one dataset.

    Attributes:
        paths: At least one, in the order in which they are read.
        format: Of all of them.
    """

    paths: list[Path]
    format: Format


def find(given: Path) -> Files:
    """The files that a path, a directory or a glob names.

    Raises:
        DatasetError: There are none, or they are of several formats, or no regular files; or the
            system refuses to look.
    """
    try:
        return _find(given)
    except OSError as error:
        raise DatasetError(f"dataset {given} cannot be read: {error.strerror}") from error


def _find(given: Path) -> Files:
    if given.is_dir():
        return _in_directory(given)
    if has_magic(str(given)) and not given.exists():
        try:
            found = list(Path(given.anchor or ".").glob(str(given.relative_to(given.anchor))))
        except ValueError as error:  # of ** beside other signs, before Python 3.13
            raise DatasetError(f"dataset {given} is no glob: {error}") from error
        return _of_one_format(given, _readable(found))
    if not given.exists():
        hint = "; a dataset is a local file: download it" if _ADDRESS.match(str(given)) else ""
        raise DatasetError(f"dataset {given} does not exist{hint}")
    check_regular(given, "a dataset is read twice")
    known = format_of(given)
    if known is None:
        raise DatasetError(
            f"dataset {given} is neither a directory nor a {_either(_own())} file, nor a table "
            f"({', '.join(_others())})"
        )
    return Files([given], known)


def check_regular(path: Path, why: str) -> None:
    """Refuses a pipe, a socket or a device before it is opened, which could wait forever."""
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        kind = next((name for is_kind, name in _KINDS if is_kind(mode)), "a device")
        raise DatasetError(f"{path} is {kind}, not a regular file: {why}; save it as a file first")


def _in_directory(directory: Path) -> Files:
    candidates = [directory / f"{SAMPLES}{suffix}" for suffix in suffixes()]
    found = next((path for path in candidates if path.exists()), None)
    if found is not None:
        check_regular(found, "a dataset is read twice")
        return _of_one_format(directory, [found])
    return _of_one_format(directory, _readable(list(directory.iterdir())))


def _readable(paths: list[Path]) -> list[Path]:
    """The files of known formats, by name."""
    kept = [path for path in paths if path.is_file() and not path.name.startswith(_HIDDEN)]
    return sorted(path for path in kept if path.name != METADATA and format_of(path))


def _of_one_format(given: Path, paths: list[Path]) -> Files:
    formats = {path: known for path in paths if (known := format_of(path))}
    if not formats:
        shown = _either([f"{SAMPLES}{suffix}" for suffix in _own()])
        others = ", ".join(_others())
        where = "" if has_magic(str(given)) else f" has no {shown}, and"
        raise DatasetError(f"{given}{where} holds no files of a known format ({others})")
    kinds = list(formats.values())
    if any(kind != kinds[0] for kind in kinds):
        counts = Counter(path.suffix for path in formats)
        shown = ", ".join(f"{count} {suffix}" for suffix, count in counts.most_common(_MOST_SHOWN))
        first = next(iter(formats))
        raise DatasetError(
            f"{given} holds files of several formats ({shown}); name those that are meant: "
            f"dataset.path='{first.parent}/*{first.suffix}'"
        )
    return Files(list(formats), kinds[0])


def _own() -> list[str]:
    return [suffix for known in FORMATS.values() for suffix in known.suffixes]


def _others() -> list[str]:
    """The suffixes of tables, without those of compressed files."""
    named = [suffix for known in TABLES.values() for suffix in known.suffixes]
    return [suffix for suffix in named if suffix.count(".") == 1]


def _either(names: list[str]) -> str:
    return " or ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
